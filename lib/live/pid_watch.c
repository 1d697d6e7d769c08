/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pid_watch.c - a process with a guest of KVM, which says nothing until it ends
 */
#include "guest_watch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../util/bits.h"
#include "live.h"

struct pid_watch {
	struct guest_watch watch;
	pid_t pid;
};

static struct gdump_error *pid_watch_listen(struct guest_watch *w)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };

	if (poll(&p, 1, 0) <= 0)
		return NULL;
	return error_new(GDUMP_ERR_REMOTE, "process %d has ended", (int)((struct pid_watch *)w)->pid);
}

static void pid_watch_close(struct guest_watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	free(w->events);
	free(w);
}

static const struct guest_watch_ops pid_watch_ops = {
	.listen = pid_watch_listen,
	.close = pid_watch_close,
};

struct gdump_error *pid_watch(const char *name, const struct gdump_open_options *opt,
			      struct guest_watch **ret)
{
	struct pid_watch *p;
	pid_t pid;
	struct gdump_error *err = pid_parse(name, &pid);

	(void)opt;
	p = err ? NULL : calloc(1, sizeof(*p));
	if (!p)
		return err ? err : error_nomem();
	p->pid = pid;
	p->watch = (struct guest_watch){ .ops = &pid_watch_ops,
					 .fd = (int)syscall(SYS_pidfd_open, pid, 0) };
	if (p->watch.fd < 0) {
		err = errno == ESRCH ? error_new(GDUMP_ERR_OS, "there is no process %d", (int)pid) :
				       error_os(errno, "cannot watch process %d", (int)pid);
		pid_watch_close(&p->watch);
		return err;
	}
	*ret = &p->watch;
	return NULL;
}
