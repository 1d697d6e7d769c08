/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "companions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../util/cleanup.h"

static const char *companion_last(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

char *companion_path(const char *path, const char *name)
{
	char *ret;

	if (asprintf(&ret, "%.*s%s", (int)(companion_last(path) - path), path, name) < 0)
		return NULL;
	return ret;
}

struct gdump_error *companion_open(const struct companions *c, size_t i, struct bytes **ret)
{
	return error_prefix(bytes_file_open(c->names[i], c->spool, ret), "%s", c->names[i]);
}

struct gdump_error *companion_find(const struct companions *c, const char *name, struct bytes **ret)
{
	const char *last = companion_last(name);
	CLEANUP_FREE char *path = companion_path(c->path, last);

	if (!path)
		return error_nomem();
	for (size_t i = 0; i < c->num; i++) {
		if (!strcmp(companion_last(c->names[i]), last))
			return companion_open(c, i, ret);
	}
	if (!*last || !strcmp(last, ".") || !strcmp(last, "..") || (access(path, F_OK) && errno == ENOENT))
		return error_new(GDUMP_ERR_PART,
				 "the file %s, which is part of it, is missing: put it next to this one, or pass it as well",
				 last);
	return error_prefix(bytes_file_open(path, c->spool, ret), "%s", path);
}

struct gdump_error *companion_main(const char *path, const char *main, const char *other, char **ret)
{
	struct stat st;
	char *name = NULL;

	*ret = NULL;
	if (stat(path, &st))
		return NULL;
	if (S_ISDIR(st.st_mode) && asprintf(&name, "%s/%s", path, main) < 0)
		return error_nomem();
	if (!name && !strcmp(companion_last(path), other) && !(name = companion_path(path, main)))
		return error_nomem();
	if (name && !access(name, F_OK))
		*ret = TAKE_PTR(name);
	free(name);
	return NULL;
}
