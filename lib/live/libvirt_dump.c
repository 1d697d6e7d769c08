/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * libvirt_dump.c - libvirt's own dump, which pauses the guest, into a pipe of ours
 *
 * Theory of operation.  libvirt opens /proc/PID/fd/N of ours after it has paused the guest.  QEMU
 * writes ELF headers and notes, and then waits, as the pipe is full: for so long the guest is
 * paused, and libvirt's job lock keeps everybody else from it.  When the pipe is closed, QEMU's
 * dump fails, and libvirt resumes the guest.  A FIFO would not do: libvirt waits for ever to open one
 * whose reader has died.  The guard has the pipe, too: it closes it if we are killed, and reads it to
 * its end if we are stopped, as QEMU's dump is then complete, and libvirt resumes the guest as well.
 *
 * The call of libvirt takes as long as the dump, so that a thread makes it.  If it returns although
 * we did not end the dump, then libvirtd has ended, and QEMU's dump must be over before the next
 * libvirtd has found QEMU, which cannot resume the guest before; the one of 9.0 would even crash.
 * So that thread closes the pipe at once.
 */
#include "libvirt_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"

enum {
	TICK_MS = 50,
	HEAD_US = 60000000,             /* libvirt waits 30 s for its job lock  */
	READ_US = 120000000,
};

struct libvirt_dump {
	const struct domain *domain;
	struct gdump_open_options opt;
	struct guest *guarded;          /* whose guard has the pipe as well     */
	struct qemu_head head;
	uint64_t pos;                   /* in the dump: the pipe's next byte    */
	pthread_t thread;
	bool has_thread;
	char path[64];
	bool all;
	pthread_mutex_t lock;           /* of what is below                     */
	int in, out;                    /* the pipe; -1: closed                 */
	bool ended_by_us, over;
	struct gdump_error *err;        /* of the call                          */
};

static void libvirt_dump_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The guard closes it as well: QEMU must find no reader. */
static void libvirt_dump_close_pipe(struct libvirt_dump *d)
{
	libvirt_dump_close_fd(&d->out);
	if (d->in >= 0)
		gdump_error_destroy(guest_guard_pipe(d->guarded, NULL, -1, false));
	libvirt_dump_close_fd(&d->in);
}

/* The thread that waits for libvirt */
static void *libvirt_dump_run(void *arg)
{
	struct libvirt_dump *d = arg;
	struct gdump_error *err = domain_dump(d->domain, d->path);

	pthread_mutex_lock(&d->lock);
	d->err = err;
	d->over = true;
	libvirt_dump_close_fd(&d->out);
	/* else the end of the dump is still in the pipe */
	if (err)
		libvirt_dump_close_pipe(d);
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* Read what is there; *got is 0 if there is nothing now. */
static struct gdump_error *libvirt_dump_take(struct libvirt_dump *d, void *buf, size_t len,
					     size_t *got)
{
	struct gdump_error *err = NULL;
	ssize_t n = 0;

	*got = 0;
	pthread_mutex_lock(&d->lock);
	if (d->in >= 0)
		n = read(d->in, buf, len);
	if (n > 0)
		*got = (size_t)n;
	else if (d->in < 0 || (d->over && !n))
		err = error_new(GDUMP_ERR_REMOTE, "libvirt ended its dump too early, after %" PRIu64 " bytes: %s",
				d->pos, d->err ? gdump_error_message(d->err) : "it is complete");
	pthread_mutex_unlock(&d->lock);
	/* the guard may have read what came before */
	return err ? err : guest_torn(d->guarded);
}

/* The same, and wait for it until @deadline. */
static struct gdump_error *libvirt_dump_await(struct libvirt_dump *d, void *buf, size_t len,
					      uint64_t deadline, size_t *got)
{
	struct gdump_error *err = libvirt_dump_take(d, buf, len, got);

	while (!err && !*got) {
		struct pollfd p = { .fd = d->in, .events = POLLIN };

		if (d->opt.cancel && d->opt.cancel(d->opt.cancel_arg))
			return error_new(GDUMP_ERR_CANCELED, "canceled while libvirt dumped the guest");
		if (clock_us() > deadline)
			return error_new(GDUMP_ERR_REMOTE, "libvirt does not write its dump; is it stuck?");
		poll(&p, 1, TICK_MS);
		err = libvirt_dump_take(d, buf, len, got);
	}
	d->pos += *got;
	return err;
}

/* qemu_dump.c says how much of the head it needs, and understands it. */
static struct gdump_error *libvirt_dump_read_head(struct libvirt_dump *d)
{
	const uint64_t deadline = clock_us() + HEAD_US;
	struct gdump_error *err = NULL;
	unsigned char buf[4096];
	size_t got;

	while (!err && !d->head.done) {
		err = libvirt_dump_await(d, buf, MIN(sizeof(buf), qemu_head_needs(&d->head)), deadline,
					 &got);
		if (!err)
			err = qemu_head_feed(&d->head, buf, got);
	}
	return err;
}

static struct gdump_error *libvirt_dump_launch(struct libvirt_dump *d)
{
	struct gdump_error *err;
	sigset_t all, before;
	int fds[2], rc;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return error_os(errno, "cannot make a pipe");
	d->in = fds[0];
	d->out = fds[1];
	err = guest_guard_pipe(d->guarded, "libvirt", d->in, true);
	if (err)
		return err;
	snprintf(d->path, sizeof(d->path), "/proc/%d/fd/%d", (int)getpid(), d->out);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&d->thread, NULL, libvirt_dump_run, d);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	d->has_thread = !rc;
	return rc ? error_os(rc, "cannot start a thread") : NULL;
}

struct gdump_error *libvirt_dump_start(const struct domain *domain,
				       const struct gdump_open_options *opt, bool all,
				       struct guest *guarded, struct libvirt_dump **ret)
{
	struct libvirt_dump *d = calloc(1, sizeof(*d));
	struct gdump_error *err;

	if (!d)
		return error_nomem();
	d->domain = domain;
	d->opt = *opt;
	d->guarded = guarded;
	d->all = all;
	d->in = d->out = -1;
	d->head.with_data = LIBVIRT_PROBE_SIZE;
	pthread_mutex_init(&d->lock, NULL);
	err = libvirt_dump_launch(d);
	if (!err)
		err = libvirt_dump_read_head(d);
	if (err) {
		libvirt_dump_end(d);
		return err;
	}
	if (all) {
		/* libvirt has opened it: now its end can be seen */
		pthread_mutex_lock(&d->lock);
		libvirt_dump_close_fd(&d->out);
		pthread_mutex_unlock(&d->lock);
	}
	*ret = d;
	return NULL;
}

const struct qemu_head *libvirt_dump_head(const struct libvirt_dump *d)
{
	return &d->head;
}

/* The part of [off, off + *len) that came with the head */
static void libvirt_dump_from_head(struct libvirt_dump *d, uint64_t *off, unsigned char **buf,
				   size_t *len)
{
	size_t n;

	if (*off >= d->head.len)
		return;
	n = MIN(*len, d->head.len - (size_t)*off);
	memcpy(*buf, d->head.buf + *off, n);
	*off += n;
	*buf += n;
	*len -= n;
}

struct gdump_error *libvirt_dump_read(struct libvirt_dump *d, uint64_t off, void *buf, size_t len)
{
	const uint64_t deadline = clock_us() + READ_US;
	struct gdump_error *err = NULL;
	unsigned char unused[16384], *p = buf;
	size_t got;

	libvirt_dump_from_head(d, &off, &p, &len);
	if (len && off < d->pos)
		return error_new(GDUMP_ERR_NODATA, "libvirt's dump has passed byte %" PRIu64, off);
	while (!err && len && d->pos < off)
		err = libvirt_dump_await(d, unused, (size_t)MIN(off - d->pos, sizeof(unused)), deadline, &got);
	while (!err && len) {
		err = libvirt_dump_await(d, p, len, deadline, &got);
		p += got;
		len -= got;
	}
	return err;
}

struct gdump_error *libvirt_dump_lost(struct libvirt_dump *d)
{
	struct gdump_error *err = NULL;

	pthread_mutex_lock(&d->lock);
	if (d->over && !d->ended_by_us && (d->err || !d->all))
		err = error_new(GDUMP_ERR_REMOTE,
				"the guest was resumed before all memory was read: libvirt ended its dump: %s",
				d->err ? gdump_error_message(d->err) : "the pipe is complete");
	pthread_mutex_unlock(&d->lock);
	return err;
}

void libvirt_dump_end(struct libvirt_dump *d)
{
	if (!d)
		return;
	pthread_mutex_lock(&d->lock);
	d->ended_by_us = true;
	libvirt_dump_close_pipe(d);
	pthread_mutex_unlock(&d->lock);
	if (d->has_thread)
		pthread_join(d->thread, NULL);
	pthread_mutex_destroy(&d->lock);
	gdump_error_destroy(d->err);
	qemu_head_deinit(&d->head);
	free(d);
}
