/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * guest_lock.c - one dump of a guest at a time
 *
 * The lock is a socket with an abstract name, which only one process can have, which leaves no file,
 * and which ends with the process however it ends.  Everybody may make such a socket, so only that of
 * root, of our user, or of the user who owns the VMM counts.
 */
#include "guest_lock.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../util/cleanup.h"

enum { TRIES = 20, NAP_MS = 10 };

struct lock_name {
	struct sockaddr_un addr;
	socklen_t len;
};

static struct lock_name lock_name(pid_t pid)
{
	struct lock_name n = { .addr = { .sun_family = AF_UNIX } };
	const int len = snprintf(n.addr.sun_path + 1, sizeof(n.addr.sun_path) - 1,
				 "guestdump/dump/%d", (int)pid);

	n.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
	return n;
}

/* Whether the process that has the lock could have dumped the guest of process @pid */
static bool lock_counts(uid_t uid, pid_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return !uid || uid == geteuid() || (!stat(path, &st) && st.st_uid == uid);
}

/* Who has the lock: 0, or an errno */
static int lock_holder(const struct lock_name *n, struct ucred *ret)
{
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(*ret);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&n->addr, n->len) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &len))
		return errno;
	return 0;
}

static struct gdump_error *lock_is_held(const struct ucred *by)
{
	return error_new(GDUMP_ERR_REMOTE,
			 "another guestdump (process %d) is dumping this guest: wait until it has ended",
			 (int)by->pid);
}

/* Try once.  True: it is known what comes of it. */
static bool lock_try(pid_t pid, int fd, bool *locked, struct gdump_error **err)
{
	const struct lock_name n = lock_name(pid);
	struct ucred by;

	if (!bind(fd, (const struct sockaddr *)&n.addr, n.len)) {
		*locked = !listen(fd, SOMAXCONN);
		return true;
	}
	if (errno != EADDRINUSE)
		return true;
	/* it may have just begun or ended */
	if (lock_holder(&n, &by))
		return false;
	if (by.pid != getpid() && lock_counts(by.uid, pid))
		*err = lock_is_held(&by);
	return true;
}

struct gdump_error *guest_lock_take(pid_t pid, int *ret)
{
	CLEANUP_FD int fd = -1;
	struct gdump_error *err = NULL;
	bool locked = false;

	*ret = -1;
	if (pid <= 0)
		return NULL;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (int i = 0; fd >= 0 && i < TRIES && !lock_try(pid, fd, &locked, &err); i++)
		poll(NULL, 0, NAP_MS);
	if (locked)
		*ret = TAKE_FD(fd);
	return err;
}
