/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cmd_umount.c - guestdump umount
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "failure.h"
#include "tool.h"

/* The absolute path of @path, whose last part may be a file system that does not answer any more */
static bool absolute_path(const char *path, char *ret)
{
	char parent[PATH_MAX];
	size_t len = strlen(path);
	const char *name;

	if (len >= sizeof(parent))
		return false;
	memcpy(parent, path, len + 1);
	while (len > 1 && parent[len - 1] == '/')
		parent[--len] = 0;
	name = strrchr(parent, '/');
	name = name ? name + 1 : parent;
	if (!strcmp(name, "..") || !strcmp(name, ".") || !*name)
		return realpath(path, ret);
	len = (size_t)(name - parent);
	if (!realpath(len ? strndupa(parent, len) : ".", ret))
		return false;
	if (strlen(ret) + strlen(name) + 2 > PATH_MAX)
		return false;
	if (strcmp(ret, "/"))
		strcat(ret, "/");
	strcat(ret, name);
	return true;
}

/* A path of the table of mounts, where some characters are \ and three octal digits */
static void unescape(char *path)
{
	char *to = path;

	for (const char *p = path; *p; p++) {
		if (*p == '\\' && strspn(p + 1, "01234567") >= 3) {
			*to++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 3;
		} else {
			*to++ = *p;
		}
	}
	*to = 0;
}

/* Whether guestdump has mounted something at @path */
static bool is_ours(const char *path)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;
	bool ours = false;

	while (mounts && getline(&line, &size, mounts) > 0) {
		const char *type = strstr(line, " - ");
		char *at = line;

		for (int i = 0; at && i < 4; i++)
			at = strchr(at + 1, ' ');
		if (!at || !type)
			continue;
		at[1 + strcspn(at + 1, " ")] = 0;
		unescape(at + 1);
		/* the last one at a place hides those before */
		if (!strcmp(at + 1, path))
			ours = !strncmp(type, " - fuse.guestdump ", 18);
	}
	if (mounts)
		fclose(mounts);
	free(line);
	return ours;
}

int cmd_umount(struct arguments *args)
{
	char path[PATH_MAX];

	if (!absolute_path(args->words[0], path))
		return failed(failure_kind_of_errno(errno), errno, "%s: cannot unmount: %s", args->words[0],
			      strerror(errno));
	if (!is_ours(path))
		return failed(FAILURE_USAGE, 0, "%s: guestdump has mounted nothing there", args->words[0]);
	if (!umount2(path, UMOUNT_NOFOLLOW))
		return EXIT_DONE;
	if (errno == EBUSY)
		return failed(failure_kind_of_errno(errno), errno,
			      "%s: cannot unmount: a program still uses a file in it", args->words[0]);
	if (errno != EPERM)
		return failed(failure_kind_of_errno(errno), errno, "%s: cannot unmount: %s", args->words[0],
			      strerror(errno));
	execlp("fusermount3", "fusermount3", "-u", "--", path, NULL);
	return failed(failure_kind_of_errno(errno), errno, "cannot start fusermount3: %s", strerror(errno));
}
