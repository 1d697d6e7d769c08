/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_stream.c - reading the guest's memory out of a dump that QEMU writes into a pipe
 *
 * Theory of operation.  QEMU writes a dump into a pipe of ours, in the background (a
 * detached dump).  We read it in ascending order as memory is asked for, and discard
 * the rest.  If an address was already passed, or is far ahead, that dump is ended, and
 * another one begins at the address.
 *
 * While QEMU writes a dump, the guest is paused, whether or not we paused it.
 */
#include "qemu_stream.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/debug.h"

enum {
	FAR_AHEAD = 64 << 20,           /* from here on, a new dump is faster   */
	PATIENCE = 4,                   /* times the usual time-out             */
};

static struct gdump_error *qemu_stream_start(struct qemu *qemu, struct qemu_extent extent)
{
	struct gdump_error *err;

	qemu_head_deinit(&qemu->stream.head);
	qemu->stream.active = true;
	qemu->stream.head.guarded = &qemu->guest;
	qemu->stream.head.may_break = !qemu->guest.may_be_protected;
	err = qemu_dump_start(qemu->guest.qmp, extent, &qemu->stream.head);
	if (!err)
		debug_log(&qemu->source.debug, GDUMP_DEBUG_DETAIL,
			  "QEMU dumps %zu ranges of memory, from 0x%" PRIx64 " on, into a pipe",
			  qemu->stream.head.num_loads, extent.begin);
	qemu->stream.load = 0;
	qemu->stream.pos = qemu->stream.head.len;
	return err;
}

/* Read and discard the rest of the dump. */
static void qemu_stream_drain(struct qemu *qemu)
{
	struct pollfd p = { .fd = qemu->stream.head.pump.fd, .events = POLLIN };
	const uint64_t timeout = (uint64_t)qmp_timeout_ms(qemu->guest.qmp) * PATIENCE;
	unsigned char unused[16384];
	ssize_t n = 1;

	if (!qemu->stream.head.pump.ready || p.fd < 0)
		return;
	while (n && poll(&p, 1, (int)MIN(timeout, (uint64_t)INT32_MAX)) > 0) {
		n = read(p.fd, unused, sizeof(unused));
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return;
	}
}

struct gdump_error *qemu_stream_end(struct qemu *qemu)
{
	struct gdump_error *err;

	if (!qemu->stream.active)
		return NULL;
	qemu->stream.active = false;
	/* QEMU 7.2 does not report a failed dump to the firmware, and then the guest could
	 * never run again: so let the dump of a protected guest succeed
	 */
	if (qemu->stream.head.may_break)
		gdump_error_destroy(guest_guard_pipe(&qemu->guest, NULL, -1, false));
	else
		qemu_stream_drain(qemu);
	err = qemu_dump_end(qemu->guest.qmp, &qemu->stream.head);
	if (!qemu->stream.head.may_break)
		gdump_error_destroy(guest_guard_pipe(&qemu->guest, NULL, -1, false));
	return err;
}

/* Read up to @len bytes from the pipe. */
static struct gdump_error *qemu_stream_some(struct qemu *qemu, void *buf, size_t len, size_t *got)
{
	struct pollfd p = { .fd = qemu->stream.head.pump.fd, .events = POLLIN };
	int timeout = (int)MIN((uint64_t)qmp_timeout_ms(qemu->guest.qmp) * PATIENCE,
			       (uint64_t)INT32_MAX);
	ssize_t n;
	int ready;

	do {
		ready = poll(&p, 1, timeout);
		n = ready > 0 ? read(p.fd, buf, len) : -1;
	} while (ready && n < 0 && (errno == EINTR || errno == EAGAIN));
	if (!ready)
		return error_new(GDUMP_ERR_REMOTE,
				 "QEMU no longer writes its dump; is it stuck?");
	if (n < 0)
		return error_os(errno, "cannot read QEMU's dump from a pipe");
	if (!n && qmp_process_died(qemu->guest.qmp, 1000))
		return error_new(GDUMP_ERR_REMOTE,
				 "QEMU (process %d) ended before its dump was complete",
				 (int)qmp_pid(qemu->guest.qmp));
	if (!n)
		return error_new(GDUMP_ERR_REMOTE, "QEMU ended its dump too early, after %" PRIu64
				 " bytes", qemu->stream.pos);
	qemu->stream.pos += (size_t)n;
	*got = (size_t)n;
	return NULL;
}

static struct gdump_error *qemu_stream_skip(struct qemu *qemu, uint64_t to)
{
	struct gdump_error *err = NULL;
	unsigned char unused[16384];
	size_t got;

	while (!err && qemu->stream.pos < to)
		err = qemu_stream_some(qemu, unused,
				       (size_t)MIN(to - qemu->stream.pos, sizeof(unused)), &got);
	return err;
}

struct gdump_error *qemu_stream_bytes(struct qemu *qemu, uint64_t off, void *buf, size_t len)
{
	struct gdump_error *err = qemu_stream_skip(qemu, off);
	unsigned char *p = buf;
	size_t got;

	while (!err && len) {
		err = qemu_stream_some(qemu, p, len, &got);
		if (err)
			break;
		p += got;
		len -= got;
	}
	return err;
}

/* Advance to the first load that ends after @paddr; NULL: there is none. */
static const struct qemu_load *qemu_stream_load(struct qemu *qemu, uint64_t paddr)
{
	const struct qemu_head *head = &qemu->stream.head;

	for (; qemu->stream.load < head->num_loads; qemu->stream.load++) {
		const struct qemu_load *l = &head->loads[qemu->stream.load];

		if (l->paddr + (l->size - 1) >= paddr)
			return l;
	}
	return NULL;
}

/* Begin a new dump at @paddr unless the pipe reaches it soon. */
static struct gdump_error *qemu_stream_seek(struct qemu *qemu, uint64_t paddr)
{
	const struct memory_map *map = &qemu->map.memory;
	const struct mem_slot *last = &map->slots[map->num_slots - 1];
	const uint64_t end = last->paddr + (last->size - 1);
	const struct qemu_load *l = qemu->stream.active ? qemu_stream_load(qemu, paddr) : NULL;
	struct gdump_error *err;
	uint64_t off;

	if (l && l->paddr <= paddr) {
		off = l->off + (paddr - l->paddr);
		if (off >= qemu->stream.pos && off - qemu->stream.pos <= FAR_AHEAD)
			return NULL;
	}
	err = qemu_stream_end(qemu);
	return err ? err : qemu_stream_start(qemu, (struct qemu_extent){ paddr, end - paddr + 1 });
}

static struct gdump_error *qemu_stream_piece(struct qemu *qemu, uint64_t paddr, unsigned char *buf,
					     size_t len)
{
	const struct qemu_load *l = qemu_stream_load(qemu, paddr);

	if (!l || paddr < l->paddr)
		return error_new(GDUMP_ERR_NODATA, "QEMU did not dump the memory at 0x%" PRIx64,
				 paddr);
	return qemu_stream_bytes(qemu, l->off + (paddr - l->paddr), buf, len);
}

struct gdump_error *qemu_stream_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct qemu *qemu = (struct qemu *)s;
	struct gdump_error *err;
	const struct qemu_load *l;
	size_t n;

	guest_alive(&qemu->guest);
	err = qemu_stream_seek(qemu, paddr);
	while (!err && len) {
		l = qemu_stream_load(qemu, paddr);
		n = l && paddr >= l->paddr ?
		    (size_t)MIN(l->paddr + (l->size - 1) - paddr, (uint64_t)len - 1) + 1 : len;
		err = qemu_stream_piece(qemu, paddr, buf, n);
		paddr += n;
		buf = (char *)buf + n;
		len -= n;
	}
	return err;
}

struct gdump_error *qemu_stream_begin(struct qemu *qemu)
{
	struct gdump_error *err;

	err = qemu_stream_start(qemu, (struct qemu_extent){ 0 });
	if (!err)
		err = qemu_take_head(&qemu->source.image, &qemu->stream.head);
	if (!err)
		err = qemu_map_clip(&qemu->map, (struct qemu_extent){ 0 }, &qemu->stream.head);
	if (!err && !qemu->map.memory.num_slots)
		err = error_new(GDUMP_ERR_REMOTE, "QEMU has no memory of this guest");
	if (!err && qemu->source.is_mutable)
		err = qemu_stream_end(qemu);
	return err;
}
