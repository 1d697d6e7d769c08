/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * socket_holder.h - who else is connected to the socket of a monitor
 */
#pragma once

#include <stdbool.h>

/* "libvirtd (process 812)", or "another process" where we may not look */
struct socket_holder { char text[64]; };

/* Whether somebody else is connected to the unix socket @path: then @ret is that one. @fd is our own
 * end, connected or not. False also where the kernel does not tell.
 */
bool socket_holder_find(const char *path, int fd, struct socket_holder *ret);
