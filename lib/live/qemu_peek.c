/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_peek.c - reading any memory of a guest through QEMU's monitor
 *
 * Theory of operation.  QEMU's command pmemsave writes guest memory to a file, while the guest
 * keeps running.  It opens the file by name, so we make one without a name (memfd), pass it to
 * QEMU by add-fd, and let QEMU open it again as /proc/self/fd/N.  QEMU need not be able to see
 * our files, and our files need not be writable by QEMU's user.
 *
 * Where QEMU cannot open it (no /proc in its root directory, a security module), it dumps the
 * memory that is needed, into a pipe.  Each such dump takes several times as long and pauses a
 * running guest for that time, which is a warning.  A guest that is not running, and that we do
 * not resume, is always dumped: QEMU 7.2 closes what it got by add-fd only while the guest runs.
 *
 * Pieces that were read are kept for as long as the guest is paused.  Those of a running guest
 * are kept for a moment only.
 */
#include "qemu_peek.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "../util/debug.h"
#include "../util/warn.h"
#include "qemu_stream.h"

enum {
	PIECE_SIZE = 256 << 10,         /* costs little more than a page        */
	NUM_PIECES = 64,
	MAX_READ = 2 << 20,             /* QEMU does nothing else meanwhile     */
	FRESH_US = 200000,              /* what is known of a running guest     */
};

/* Memory that was read, from a multiple of PIECE_SIZE on, or from the start of a slot */
struct peek_piece {
	uint64_t paddr;
	size_t len;                     /* 0: there is nothing                  */
	uint64_t read_us;
	bool fixed;                     /* the guest was paused                 */
	unsigned char *data;
};

struct peek {
	int fd;                         /* the file; -1: QEMU dumps instead     */
	uint64_t fdset;                 /* QEMU's number for it                 */
	char path[40];                  /* QEMU's name for it                   */
	struct peek_piece pieces[NUM_PIECES];
};

/* Give the file to QEMU. */
static struct gdump_error *peek_add_fd(struct qmp *q, struct peek *p)
{
	const struct qmp_command cmd = { .name = "add-fd", .sends_fd = true, .fd = p->fd };
	CLEANUP_JSON json_t *value = NULL;
	struct gdump_error *err = qmp_run(q, &cmd, &value);
	uint64_t num;

	if (!err)
		err = qmp_get_uint(value, cmd.name, "fdset-id", &p->fdset);
	if (!err)
		err = qmp_get_uint(value, cmd.name, "fd", &num);
	if (!err)
		snprintf(p->path, sizeof(p->path), "/proc/self/fd/%" PRIu64, num);
	return err;
}

static void peek_close_file(struct qmp *q, struct peek *p)
{
	json_t *args = *p->path ? json_pack("{s:I}", "fdset-id", (json_int_t)p->fdset) : NULL;

	if (args)
		gdump_error_destroy(qmp_execute(q, "remove-fd", args, NULL));
	if (p->fd >= 0) {
		/* QEMU may close it later than we do */
		if (ftruncate(p->fd, 0))
			debug_log(qmp_debug(q), GDUMP_DEBUG_DETAIL, "cannot empty QEMU's file: %s",
				  strerror(errno));
		close(p->fd);
	}
	p->fd = -1;
	*p->path = '\0';
}

/* QEMU does not write into our file, for the reason @why: from now on it dumps. */
static void peek_use_dumps(struct qemu *qemu, struct gdump_error *why)
{
	if (qemu->source.is_mutable)
		warn_caller(&qemu->opt, "the guest is paused for a moment, time and again, while its "
			    "memory is read: %s", gdump_error_message(why));
	debug_log(&qemu->source.debug, GDUMP_DEBUG_STEP,
		  "QEMU cannot save memory into a file of ours, so it dumps it: %s",
		  gdump_error_message(why));
	gdump_error_destroy(why);
	peek_close_file(qemu->guest.qmp, qemu->peek);
}

/* Whether QEMU is to dump from the start, see above */
static bool peek_prefers_dumps(const struct guest *g)
{
	return !g->may_be_protected &&
	       (g->state == GUEST_NOT_RUNNING || g->state == GUEST_PAUSED_BY_OTHERS);
}

static struct gdump_error *peek_open(struct qemu *qemu)
{
	struct peek *p = calloc(1, sizeof(*p));
	struct gdump_error *err;

	if (!p)
		return error_nomem();
	qemu->peek = p;
	p->fd = -1;
	if (peek_prefers_dumps(&qemu->guest))
		return NULL;
	p->fd = memfd_create("guestdump", MFD_CLOEXEC);
	err = p->fd < 0 ? error_os(errno, "cannot make a file in memory") :
			  peek_add_fd(qemu->guest.qmp, p);
	if (err && p->fd >= 0 && !qmp_refusal(qemu->guest.qmp)) {
		close(p->fd);
		free(TAKE_PTR(qemu->peek));
		return err;
	}
	if (err)
		peek_use_dumps(qemu, err);
	return NULL;
}

static struct gdump_error *peek_save(struct qmp *q, const struct peek *p, uint64_t paddr, void *buf,
				     size_t len)
{
	json_t *args = json_pack("{s:I, s:I, s:s}", "val", (json_int_t)paddr, "size",
				 (json_int_t)len, "filename", p->path);
	struct gdump_error *err = args ? qmp_execute(q, "pmemsave", args, NULL) : error_nomem();
	ssize_t n;

	for (size_t done = 0; !err && done < len; done += (size_t)n) {
		n = TEMP_FAILURE_RETRY(pread(p->fd, (char *)buf + done, len - done, (off_t)done));
		if (n < 0)
			err = error_os(errno, "cannot read what QEMU has saved");
		else if (!n)
			err = qmp_bad_answer("pmemsave", "comes with %zu bytes instead of %zu", done,
					     len);
	}
	return err;
}

/* What a dump has of the memory from @paddr on; true: all of it */
static bool peek_copy_loads(const struct qemu_head *head, uint64_t paddr, unsigned char *buf,
			    size_t len)
{
	size_t copied = 0;

	for (size_t i = 0; i < head->num_loads; i++) {
		const struct qemu_load *l = &head->loads[i];
		const uint64_t first = MAX(l->paddr, paddr);
		const uint64_t end = MIN(l->paddr + l->size, paddr + len);

		if (first >= end || !range_fits(l->off + (first - l->paddr), end - first, head->len))
			continue;
		memcpy(buf + (first - paddr), head->buf + l->off + (first - l->paddr),
		       (size_t)(end - first));
		copied += (size_t)(end - first);
	}
	return copied == len;
}

static struct gdump_error *peek_dump(struct qemu *qemu, uint64_t paddr, void *buf, size_t len)
{
	CLEANUP_HEAD struct qemu_head head = { 0 };
	struct gdump_error *err;

	if (qemu->guest.may_be_protected)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "QEMU dumps a guest that may be protected only as a whole");
	/* QEMU writes one dump at a time */
	err = qemu_stream_end(qemu);
	if (!err)
		err = qemu_dump_notes(qemu->guest.qmp, (struct qemu_extent){ paddr, len }, &head);
	if (!err && !peek_copy_loads(&head, paddr, buf, len))
		err = error_new(GDUMP_ERR_NODATA, "QEMU did not dump the memory at 0x%" PRIx64,
				paddr);
	return err;
}

/* Read memory of one slot, and not more than MAX_READ. */
static struct gdump_error *peek_fetch(struct qemu *qemu, uint64_t paddr, void *buf, size_t len)
{
	struct gdump_error *err = qemu->peek ? NULL : peek_open(qemu);

	if (!err && qemu->peek->fd >= 0) {
		err = peek_save(qemu->guest.qmp, qemu->peek, paddr, buf, len);
		if (!err || !qmp_refusal(qemu->guest.qmp))
			return err;
		peek_use_dumps(qemu, err);
		err = NULL;
	}
	return err ? err : peek_dump(qemu, paddr, buf, len);
}

static bool peek_is_valid(const struct qemu *qemu, const struct peek_piece *piece, uint64_t paddr)
{
	if (paddr - piece->paddr >= piece->len)
		return false;
	return qemu->source.is_mutable ? clock_us() - piece->read_us < FRESH_US : piece->fixed;
}

/* The piece with @paddr, which is in @slot */
static struct gdump_error *peek_piece_at(struct qemu *qemu, const struct mem_slot *slot,
					 uint64_t paddr, const struct peek_piece **ret)
{
	const uint64_t first = MAX(round_down(paddr, PIECE_SIZE), slot->paddr);
	const size_t len = (size_t)MIN(slot->size - (first - slot->paddr),
				       PIECE_SIZE - first % PIECE_SIZE);
	struct gdump_error *err = qemu->peek ? NULL : peek_open(qemu);
	struct peek_piece *piece;

	if (err)
		return err;
	piece = &qemu->peek->pieces[first / PIECE_SIZE % NUM_PIECES];
	*ret = piece;
	if (peek_is_valid(qemu, piece, paddr))
		return NULL;
	if (!piece->data)
		piece->data = malloc(PIECE_SIZE);
	if (!piece->data)
		return error_nomem();
	piece->len = 0;
	piece->read_us = clock_us();
	piece->fixed = !qemu->source.is_mutable;
	err = peek_fetch(qemu, first, piece->data, len);
	if (err)
		return err;
	piece->paddr = first;
	piece->len = len;
	return NULL;
}

/* Read as much from @paddr on, which is in @slot, as can be read at once. */
static struct gdump_error *peek_some(struct qemu *qemu, const struct mem_slot *slot, uint64_t paddr,
				     void *buf, size_t *len)
{
	const struct peek_piece *piece;
	struct gdump_error *err;

	*len = (size_t)MIN(slot->size - (paddr - slot->paddr), MIN(*len, MAX_READ));
	if (*len >= PIECE_SIZE)
		return peek_fetch(qemu, paddr, buf, *len);
	err = peek_piece_at(qemu, slot, paddr, &piece);
	if (err)
		return err;
	*len = (size_t)MIN(piece->len - (paddr - piece->paddr), *len);
	memcpy(buf, piece->data + (paddr - piece->paddr), *len);
	return NULL;
}

struct gdump_error *qemu_peek_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct qemu *qemu = (struct qemu *)s;
	const struct memory_map *map = &qemu->map.memory;
	struct gdump_error *err = NULL;
	size_t i;

	guest_alive(&qemu->guest);
	for (size_t n; !err && len; paddr += n, buf = (char *)buf + n, len -= n) {
		n = len;
		i = memory_map_find(map, paddr);
		if (i == map->num_slots || map->slots[i].paddr > paddr)
			return error_new(GDUMP_ERR_NODATA, "QEMU has no memory at 0x%" PRIx64, paddr);
		err = peek_some(qemu, &map->slots[i], paddr, buf, &n);
	}
	return err;
}

void qemu_peek_close(struct qemu *qemu)
{
	struct peek *p = qemu->peek;

	if (!p)
		return;
	peek_close_file(qemu->guest.qmp, p);
	for (size_t i = 0; i < NUM_PIECES; i++)
		free(p->pieces[i].data);
	free(p);
	qemu->peek = NULL;
}
