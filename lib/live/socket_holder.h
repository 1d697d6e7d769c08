/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * socket_holder.h - who is connected to the socket of a monitor
 */
#pragma once

/* Whose turn it is at a socket that serves one client at a time */
enum socket_turn {
	SOCKET_TURN_UNKNOWN,            /* nobody's, or the kernel does not report it */
	SOCKET_TURN_OURS,               /* our connection was accepted          */
	SOCKET_TURN_TAKEN,              /* somebody else is connected           */
};

/* "libvirtd (process 812)", or "another process" where we may not look */
struct socket_holder { char text[64]; };

/* Whose turn it is at the unix socket @path. @fd is our own end, connected or not; -1: none. @ret is
 * the one whose turn it is, unless that is us.
 */
enum socket_turn socket_turn_find(const char *path, int fd, struct socket_holder *ret);
