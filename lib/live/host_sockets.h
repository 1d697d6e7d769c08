/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * host_sockets.h - the unix sockets of a host that have a path
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../error.h"

struct host_socket {
	uint64_t inode;
	bool listening;                 /* else somebody is connected to it     */
	char *path;                     /* as it was bound                      */
};

/* All zero: none */
struct host_sockets {
	struct host_socket *all;
	size_t num;
};

/* Read a file like /proc/net/unix.  One that cannot be read has no sockets. */
MUST_CHECK struct gdump_error *host_sockets_read(const char *path, struct host_sockets *ret);
void host_sockets_deinit(struct host_sockets *s);

/* The path at which the socket @inode listens, or NULL */
const char *host_sockets_path(const struct host_sockets *s, uint64_t inode);
/* Whether somebody is connected to the socket that listens at @path */
bool host_sockets_busy(const struct host_sockets *s, const char *path);
