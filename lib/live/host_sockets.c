/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * host_sockets.c - the unix sockets of a host that have a path
 *
 * Facts: unix(7) and net/unix/af_unix.c of Linux.  A line of /proc/net/unix has the columns Num,
 * RefCount, Protocol, Flags, Type, St, Inode and Path.  Bit 16 of Flags: the socket listens.  A
 * socket that was accepted has the path of the one that listens, and St is 03.
 */
#include "host_sockets.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util/array.h"

enum { LISTENS = 1 << 16, CONNECTED = 3 };

/* Add the socket of @line, if it has a path and is of use. */
static struct gdump_error *host_sockets_add(struct host_sockets *s, const char *line)
{
	unsigned int flags, state;
	uint64_t inode;
	int path = 0;
	char *copy;

	if (sscanf(line, "%*[^:]: %*x %*x %x %*x %x %" SCNu64 " %n", &flags, &state, &inode, &path) < 3 ||
	    !path || line[path] == '@' || line[path] == '\0' || line[path] == '\n')
		return NULL;
	if (!(flags & LISTENS) && state != CONNECTED)
		return NULL;
	copy = strdup(line + path);
	if (!copy || !ARRAY_GROW(s->all, s->num)) {
		free(copy);
		return error_nomem();
	}
	copy[strcspn(copy, "\n")] = '\0';
	s->all[s->num++] = (struct host_socket){ inode, flags & LISTENS, copy };
	return NULL;
}

struct gdump_error *host_sockets_read(const char *path, struct host_sockets *ret)
{
	struct host_sockets s = { 0 };
	struct gdump_error *err = NULL;
	char line[512];
	FILE *f = fopen(path, "re");

	while (f && !err && fgets(line, sizeof(line), f))
		err = host_sockets_add(&s, line);
	if (f)
		fclose(f);
	if (err)
		host_sockets_deinit(&s);
	else
		*ret = s;
	return err;
}

void host_sockets_deinit(struct host_sockets *s)
{
	for (size_t i = 0; i < s->num; i++)
		free(s->all[i].path);
	free(s->all);
	*s = (struct host_sockets){ 0 };
}

const char *host_sockets_path(const struct host_sockets *s, uint64_t inode)
{
	for (size_t i = 0; i < s->num; i++) {
		if (s->all[i].inode == inode && s->all[i].listening)
			return s->all[i].path;
	}
	return NULL;
}

bool host_sockets_busy(const struct host_sockets *s, const char *path)
{
	for (size_t i = 0; i < s->num; i++) {
		if (!s->all[i].listening && !strcmp(s->all[i].path, path))
			return true;
	}
	return false;
}
