/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * socket_holder.c - who is connected to the socket of a monitor
 *
 * Facts: sock_diag(7).  A socket that was accepted has the inode and the name of the listening one,
 * and shows the inode of its peer, which the process that holds it has as "socket:[INODE]" in
 * /proc/PID/fd.  One that was not accepted yet is not shown.
 */
#include "socket_holder.h"

#include <dirent.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/process_name.h"

enum { REPLY_MAX = 64 << 10, WAIT_S = 1 };

struct holder_search {
	uint32_t socket;                /* inode of the file                    */
	const char *name;               /* its name, without directories        */
	uint32_t ours;                  /* inode of our end; 0: none            */
	uint32_t holder;                /* inode of the end of somebody else; 0: not found */
	bool is_ours;                   /* our end was accepted                 */
};

/* The attribute @type of a socket, with at least @least bytes, or NULL */
static const void *holder_attr(const struct nlmsghdr *h, unsigned int type, size_t least, size_t *len)
{
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	const struct rtattr *a = (const struct rtattr *)(m + 1);
	size_t left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));

	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == type && RTA_PAYLOAD(a) >= least) {
			*len = RTA_PAYLOAD(a);
			return RTA_DATA(a);
		}
	}
	return NULL;
}

static bool holder_ends_with(const char *path, size_t len, const char *name)
{
	const size_t n = strlen(name);

	return len >= n && !memcmp(path + len - n, name, n) && (len == n || path[len - n - 1] == '/');
}

static void holder_look_at(struct holder_search *s, const struct nlmsghdr *h)
{
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	size_t len;
	const struct unix_diag_vfs *file = holder_attr(h, UNIX_DIAG_VFS, sizeof(*file), &len);
	const uint32_t *peer = holder_attr(h, UNIX_DIAG_PEER, sizeof(*peer), &len);
	const char *name = holder_attr(h, UNIX_DIAG_NAME, 1, &len);

	if (!file || !peer || !name || m->udiag_state != TCP_ESTABLISHED ||
	    file->udiag_vfs_ino != s->socket || !holder_ends_with(name, strnlen(name, len), s->name))
		return;
	if (*peer == s->ours)
		s->is_ours = true;
	else
		s->holder = *peer;
}

/* Look at the sockets of one reply; returns false after the last one. */
static bool holder_take_reply(struct holder_search *s, const char *buf, size_t len)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;

	for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY)
			return false;
		if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct unix_diag_msg)))
			holder_look_at(s, h);
	}
	return true;
}

/* Look at all unix sockets. */
static void holder_search_all(struct holder_search *s, int diag, char *buf)
{
	const struct {
		struct nlmsghdr head;
		struct unix_diag_req req;
	} ask = {
		.head = { .nlmsg_len = sizeof(ask), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.req = { .sdiag_family = AF_UNIX, .udiag_states = UINT32_MAX,
			 .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_VFS },
	};
	ssize_t n;

	if (send(diag, &ask, sizeof(ask), 0) != (ssize_t)sizeof(ask))
		return;
	do
		n = recv(diag, buf, REPLY_MAX, 0);
	while (n > 0 && holder_take_reply(s, buf, (size_t)n));
}

static bool holder_has_socket(const char *pid, const char *link)
{
	char path[64], target[64];
	struct dirent *entry;
	bool found = false;
	ssize_t n;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target));
		found = n == (ssize_t)strlen(link) && !memcmp(target, link, (size_t)n);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void holder_describe(uint32_t inode, struct socket_holder *ret)
{
	char link[40];
	struct dirent *entry;
	DIR *dir = opendir("/proc");

	strcpy(ret->text, "another process");
	snprintf(link, sizeof(link), "socket:[%u]", inode);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    !holder_has_socket(entry->d_name, link))
			continue;
		snprintf(ret->text, sizeof(ret->text), "%s (process %.20s)",
			 process_name("/proc", entry->d_name).text, entry->d_name);
		break;
	}
	if (dir)
		closedir(dir);
}

enum socket_turn socket_turn_find(const char *path, int fd, struct socket_holder *ret)
{
	CLEANUP_FD int diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	const struct timeval patience = { .tv_sec = WAIT_S };
	CLEANUP_FREE char *buf = malloc(REPLY_MAX), *real = realpath(path, NULL);
	struct holder_search s = { 0 };
	struct stat file, ours;

	if (diag < 0 || !buf || !real || stat(real, &file) ||
	    setsockopt(diag, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		return SOCKET_TURN_UNKNOWN;
	s.socket = (uint32_t)file.st_ino;
	s.name = strrchr(real, '/') + 1;
	s.ours = fd >= 0 && !fstat(fd, &ours) ? (uint32_t)ours.st_ino : 0;
	holder_search_all(&s, diag, buf);
	if (s.is_ours)
		return SOCKET_TURN_OURS;
	if (!s.holder)
		return SOCKET_TURN_UNKNOWN;
	holder_describe(s.holder, ret);
	return SOCKET_TURN_TAKEN;
}
