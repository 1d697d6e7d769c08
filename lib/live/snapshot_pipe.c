/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * snapshot_pipe.c - the pipe through which QEMU sends a snapshot
 *
 * Theory of operation.  When the pipe is full, QEMU waits, and with it the guest if it wants
 * to write to a page that has not been sent.  So the pipe is emptied as fast as possible.
 *
 * QEMU writes one page per system call.  If we waited for each, a page would cost two
 * context switches, so after little has come we sleep briefly; far less than a pipe's
 * worth arrives meanwhile.  A reader that copies from a pipe holds its lock for the whole
 * copy and stalls QEMU, so we splice the data to a second pipe of our own, which
 * copies nothing, and read from that.
 */
#include "snapshot_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"

enum {
	PIPE_SIZE = 1 << 20,            /* that everybody may have              */
	PIPE_SIZE_ROOT = 4 << 20,
	LITTLE = 128 << 10,             /* a move brought less: nap longer      */
	MUCH = 384 << 10,               /* more: nap less long                  */
	NAP_MIN_US = 50,
	NAP_MAX_US = 500,
	TICK_MS = 100,
	DRAIN_MS = 30000,               /* for more to come                     */
};

/* A large one */
static struct gdump_error *pipe_create(int fds[2])
{
	if (pipe2(fds, O_CLOEXEC))
		return error_os(errno, "cannot create a pipe");
	if (fcntl(fds[0], F_SETPIPE_SZ, PIPE_SIZE_ROOT) < 0)
		fcntl(fds[0], F_SETPIPE_SZ, PIPE_SIZE);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	return NULL;
}

struct gdump_error *snapshot_pipe_open(struct snapshot_pipe *p, int *theirs)
{
	struct gdump_error *err;
	int fds[2];

	snapshot_pipe_close(p);
	err = pipe_create(p->inner);
	if (!err)
		err = pipe_create(fds);
	if (err)
		return err;
	p->fd = fds[0];
	*theirs = fds[1];
	return NULL;
}

void snapshot_pipe_close(struct snapshot_pipe *p)
{
	const int fds[] = { p->fd, p->inner[0], p->inner[1] };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	*p = (struct snapshot_pipe)SNAPSHOT_PIPE_NONE;
}

/* Since something came last, we were busy or the output took nothing more. */
static void pipe_count_stall(struct snapshot_pipe *p)
{
	const uint64_t now = clock_us();

	if (p->moved_us)
		p->stalled_us = MAX(p->stalled_us, now - p->moved_us);
}

/* @len bytes came: for how long should the next ones gather? */
static void pipe_choose_nap(struct snapshot_pipe *p, size_t len)
{
	if (len < LITTLE)
		p->nap_us = MIN(MAX(2 * p->nap_us, (unsigned int)NAP_MIN_US),
				(unsigned int)NAP_MAX_US);
	else if (len > MUCH)
		p->nap_us /= 4;
}

static void pipe_nap(const struct snapshot_pipe *p)
{
	const struct timespec time = { .tv_nsec = p->nap_us * 1000L };

	if (p->nap_us)
		nanosleep(&time, NULL);
}

struct gdump_error *snapshot_pipe_move(struct snapshot_pipe *p, bool idle)
{
	struct pollfd ready = { .fd = p->fd, .events = POLLIN };
	ssize_t n;

	if (!p->empty)
		pipe_count_stall(p);
	if (idle && p->empty)
		poll(&ready, 1, TICK_MS);
	else if (idle)
		pipe_nap(p);
	n = splice(p->fd, NULL, p->inner[1], NULL, PIPE_SIZE_ROOT, SPLICE_F_NONBLOCK);
	p->empty = n < 0;
	p->looked_us = n ? clock_us() : 0;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? NULL :
			error_os(errno, "cannot move QEMU's snapshot from pipe to pipe");
	p->ended = !n;
	p->moved = (size_t)n;
	p->moved_us = clock_us();
	pipe_choose_nap(p, p->moved);
	return NULL;
}

struct gdump_error *snapshot_pipe_read(struct snapshot_pipe *p, void *buf, size_t len, size_t *got)
{
	const ssize_t n = TEMP_FAILURE_RETRY(read(p->inner[0], buf, MIN(len, p->moved)));

	if (n < 0)
		return error_os(errno, "cannot read QEMU's snapshot from a pipe");
	p->moved -= (size_t)n;
	*got = (size_t)n;
	return NULL;
}

void snapshot_pipe_drain(struct snapshot_pipe *p)
{
	struct pollfd ready = { .fd = p->fd, .events = POLLIN };
	char buf[65536];
	ssize_t n;

	while (poll(&ready, 1, DRAIN_MS) > 0) {
		n = read(p->fd, buf, sizeof(buf));
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
			break;
	}
}
