/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_snapshot.c - reading a guest of QEMU that keeps running while it is dumped
 *
 * Theory of operation.  QEMU's background snapshot pauses the guest for a moment, saves
 * the state of its devices and CPUs, write-protects its memory and resumes it.  Then
 * it sends each page once, as it was at that moment, first those that the guest wants to
 * write to, and at the end the devices.  The stream comes through a pipe:
 *
 *     snapshot_migration.c    has QEMU take the snapshot
 *     snapshot_pipe.c         the pipe
 *     ../migration/           parses the stream
 *     snapshot_pages.c        pages of the stream become pages of the guest
 *     prefetch.c              reads most of the memory before QEMU sends it: the stream
 *                             alone would take several times as long
 *
 * QEMU's settings are changed before anything else, which shows whether QEMU and the host
 * can do it.  A dump of one page shows which notes of CPUs there are; while the guest
 * runs, their contents are of no use yet.  From then on there are two cases:
 *
 *   - Nobody reads memory before the dump.  snapshot_push() starts the snapshot, and takes
 *     the registers of that moment out of the stream.  QEMU's own pause is the only one.
 *   - A plan that omits pages has to read memory, or the registers are of a kind that
 *     cannot be taken out of the stream.  direct_pause() pauses the guest and reads its
 *     CPUs again, and the memory is of that moment, too, until the snapshot has
 *     begun and the guest is resumed.
 *
 * The little memory of devices that the stream has under no clear name is read directly.
 *
 * When a snapshot breaks off, by migrate_cancel or by a closed pipe, the memory remains
 * write-protected (QEMU 7.2), and the guest hangs at its next write.  So a stream that has
 * begun is read to its end, even when it is not wanted any more: by us, or, if we are killed,
 * by the guard, which has the pipe as well.  Then the settings are restored.
 */
#include "qemu_guest.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "../migration/cpu_notes.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/warn.h"
#include "prefetch.h"
#include "qemu_direct.h"
#include "qemu_way.h"
#include "snapshot_migration.h"
#include "snapshot_pages.h"
#include "snapshot_pipe.h"

enum {
	FEED_SIZE = 1 << 20,            /* of the stream, at once               */
	TAIL_FIRST = 1 << 20,           /* the devices' states: so many bytes,  */
	TAIL_MAX = 256 << 20,           /* or at most so many                   */
};

struct snapshot {
	struct qemu *qemu;
	struct mtree mtree;
	struct snapshot_migration migration;
	struct snapshot_pipe pipe;
	/* of the snapshot that is under way */
	struct snapshot_pages pages;
	struct prefetch prefetch;
	const struct page_sink *to;
	bool begun;                     /* the memory is write-protected        */
	unsigned char *tail;            /* the devices' states                  */
	size_t tail_len, tail_cap;
};

/* The stream ---------------------------------------------------------------- */

static struct gdump_error *snapshot_on_blocks(void *arg, const struct migration *m)
{
	struct snapshot *s = arg;
	struct gdump_error *err = snapshot_pages_map(&s->pages, m);

	return err ? err : snapshot_pages_put_devices(&s->pages);
}

/* With the first page, the memory is write-protected, so prefetching may begin.  A guest
 * that we paused is not resumed by newer versions of QEMU, so we do that.  QEMU may write to
 * the guest's memory for it and wait until we have read the pipe: so we do not wait
 * for its answer here.
 */
static struct gdump_error *snapshot_begin(struct snapshot *s)
{
	struct qmp *q = s->qemu->guest.qmp;

	s->begun = true;
	prefetch_begin(&s->prefetch, qmp_pid(q));
	return s->qemu->guest.state == GUEST_PAUSED ? qmp_post(q, "cont") : NULL;
}

static struct gdump_error *snapshot_on_page(void *arg, const struct migration_page *page)
{
	struct snapshot *s = arg;
	struct gdump_error *err = s->begun ? NULL : snapshot_begin(s);

	return err ? err : snapshot_pages_put(&s->pages, page);
}

/* The devices' states, which end the stream */
static struct gdump_error *snapshot_on_rest(void *arg, const unsigned char *buf, size_t len)
{
	struct snapshot *s = arg;
	unsigned char *tail;

	if (len > TAIL_MAX - s->tail_len)
		return error_new(GDUMP_ERR_REMOTE,
				 "QEMU's snapshot has more than %d MiB of devices' states",
				 TAIL_MAX >> 20);
	if (len > s->tail_cap - s->tail_len) {
		s->tail_cap = MAX(2 * s->tail_cap, MAX(s->tail_len + len, (size_t)TAIL_FIRST));
		tail = realloc(s->tail, s->tail_cap);
		if (!tail)
			return error_nomem();
		s->tail = tail;
	}
	memcpy(s->tail + s->tail_len, buf, len);
	s->tail_len += len;
	return NULL;
}

/* Prefetch a little; else *@worked is false. */
static struct gdump_error *snapshot_prefetch(struct snapshot *s, bool *worked)
{
	struct gdump_error *err = prefetch_step(&s->prefetch, worked);

	if (!err && s->to->canceled(s->to->arg))
		err = error_new(GDUMP_ERR_CANCELED, "canceled");
	return err;
}

/* Feed what was moved to our own pipe. */
static struct gdump_error *snapshot_feed(struct snapshot *s, struct migration *m,
					 unsigned char *buf)
{
	struct gdump_error *err = NULL;
	size_t len;

	while (!err && s->pipe.moved) {
		err = snapshot_pipe_read(&s->pipe, buf, FEED_SIZE, &len);
		if (!err)
			err = migration_feed(m, buf, len);
	}
	return err;
}

/* From the stream's start to its end */
static struct gdump_error *snapshot_run(struct snapshot *s, struct migration *m)
{
	CLEANUP_FREE unsigned char *buf = malloc(FEED_SIZE);
	struct gdump_error *err = buf ? NULL : error_nomem();
	bool worked;

	while (!err && !s->pipe.ended) {
		err = snapshot_prefetch(s, &worked);
		if (!err)
			err = snapshot_pipe_move(&s->pipe, !worked);
		if (!err)
			err = snapshot_feed(s, m, buf);
	}
	if (!err && !m->ram_done)
		err = migration_end(m);
	if (!err && !m->ram_done)
		err = error_new(GDUMP_ERR_REMOTE, "QEMU ended its snapshot too early");
	return err;
}

static struct gdump_error *snapshot_take(struct snapshot *s)
{
	const struct migration_events events = {
		.blocks = snapshot_on_blocks, .page = snapshot_on_page,
		.rest = snapshot_on_rest, .arg = s,
	};
	struct migration m;
	struct gdump_error *err = migration_init(&m, 0, &events);

	if (!err)
		err = snapshot_run(s, &m);
	migration_deinit(&m);
	return err;
}

/* The notes of the CPUs are of an earlier moment: renew them. */
static struct gdump_error *snapshot_take_cpus(struct snapshot *s)
{
	struct image *image = &s->qemu->source.image, now = { .machine = image->machine };
	struct devices devices = { 0 };
	struct gdump_error *err;

	if (now.machine == EM_386)
		now.machine = EM_X86_64;        /* until the state says so */
	err = devices_describe(&devices, s->tail, s->tail_len);
	if (!err)
		err = devices_parse(&devices, s->tail, s->tail_len);
	if (!err)
		err = cpu_notes_add(&now, &devices);
	if (!err && !image_renew_notes(image, &now))
		err = error_new(GDUMP_ERR_REMOTE,
				"QEMU's snapshot does not contain the registers of all %zu CPUs",
				image->num_cpus);
	image_deinit(&now);
	devices_deinit(&devices);
	return err;
}

/* The way ------------------------------------------------------------------- */

static struct gdump_error *snapshot_start(struct snapshot *s)
{
	CLEANUP_FD int theirs = -1;
	struct gdump_error *err = snapshot_pipe_open(&s->pipe, &theirs);

	return err ? err : snapshot_migration_start(&s->migration, theirs, s->pipe.fd);
}

/* The stream has been read to its end. */
static struct gdump_error *snapshot_finish(struct snapshot *s)
{
	struct gdump_error *err = snapshot_migration_finish(&s->migration);

	if (err)
		return err;
	s->qemu->source.is_mutable = true;
	err = guest_resume(&s->qemu->guest);
	if (!err)
		guest_was_resumed(&s->qemu->guest);
	return err;
}

static void snapshot_init(struct snapshot *s, const struct page_sink *to)
{
	struct qemu *qemu = s->qemu;
	const struct memory_map *memory = &qemu->map.memory;

	s->to = to;
	s->begun = false;
	s->pages = (struct snapshot_pages){
		.source = &qemu->source, .memory = memory, .mtree = &s->mtree, .to = to,
	};
	s->prefetch = (struct prefetch){
		.mem = qemu->mem, .slots = memory->slots, .num_slots = memory->num_slots,
		.page_size = qemu->source.image.page_size, .to = to,
	};
}

static void snapshot_deinit(struct snapshot *s)
{
	snapshot_pages_deinit(&s->pages);
	prefetch_end(&s->prefetch);
	free(s->tail);
	s->tail = NULL;
	s->tail_len = s->tail_cap = 0;
}

/* End a snapshot that was started, after @err; the worse error of the two. */
static struct gdump_error *snapshot_end(struct snapshot *s, struct gdump_error *err)
{
	struct gdump_error *why;

	if (err) {
		prefetch_cancel(&s->prefetch);
		snapshot_pipe_drain(&s->pipe);
	}
	why = snapshot_finish(s);
	/* when the stream broke off, QEMU knows better why */
	if (why && (!err || gdump_error_code(err) == GDUMP_ERR_REMOTE)) {
		gdump_error_destroy(err);
		return why;
	}
	gdump_error_destroy(why);
	return err;
}

static struct gdump_error *snapshot_push(struct source *source, const struct page_sink *to)
{
	struct qemu *qemu = (struct qemu *)source;
	struct snapshot *s = qemu->snapshot;
	struct gdump_error *err = NULL;
	bool paused;

	snapshot_init(s, to);
	if (!cpu_notes_cover(&source->image))
		err = direct_pause(source);
	paused = guest_is_paused(&qemu->guest);
	if (!err && paused)
		err = snapshot_pages_put_devices(&s->pages);
	if (!err)
		err = snapshot_start(s);
	if (!err)
		err = snapshot_take(s);
	if (!err && !paused)
		err = snapshot_take_cpus(s);
	if (s->migration.started)
		err = snapshot_end(s, err);
	snapshot_deinit(s);
	return error_prefix(err, "the snapshot of the running guest");
}

static uint64_t snapshot_stalled_us(const struct source *source)
{
	return ((const struct qemu *)source)->snapshot->pipe.stalled_us;
}

static void snapshot_close(struct qemu *qemu)
{
	struct snapshot *s = qemu->snapshot;

	if (!s)
		return;
	if (s->migration.started) {
		snapshot_pipe_drain(&s->pipe);
		gdump_error_destroy(snapshot_migration_finish(&s->migration));
	}
	snapshot_pipe_close(&s->pipe);
	snapshot_migration_restore(&s->migration);
	mtree_deinit(&s->mtree);
	snapshot_deinit(s);
	free(s);
	qemu->snapshot = NULL;
}

static struct gdump_error *snapshot_try(struct qemu *qemu)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct gdump_error *err;

	if (!s)
		return error_nomem();
	*s = (struct snapshot){
		.qemu = qemu, .migration.guest = &qemu->guest, .pipe = SNAPSHOT_PIPE_NONE,
	};
	qemu->snapshot = s;
	err = snapshot_migration_prepare(&s->migration);
	if (!err)
		err = mtree_parse(qemu->map.mtree, &qemu->opt, &s->mtree);
	return error_prefix(err, "a snapshot of the running guest");
}

/* QEMU can do it before the guest is paused, or not at all. */
static struct gdump_error *snapshot_prepare(struct qemu *qemu, const char **unfit)
{
	struct gdump_error *err;

	*unfit = NULL;
	if (qemu->opt.live == GDUMP_LIVE_NO || !qemu->opt.pause_guest)
		*unfit = "--live was not asked for";
	else if (qemu->guest.state != GUEST_RUNNING)
		*unfit = "the guest is not running";
	if (*unfit)
		return NULL;
	if (qemu->mem)
		err = snapshot_try(qemu);
	else
		err = error_new(GDUMP_ERR_REMOTE,
				"a snapshot of the running guest: its memory cannot be read directly");
	if (!err)
		return NULL;
	snapshot_close(qemu);
	if (qemu->opt.live == GDUMP_LIVE_YES)
		return err;
	warn_caller(&qemu->opt, "the guest is paused until its memory is read: %s",
		    gdump_error_message(err));
	gdump_error_destroy(err);
	*unfit = "QEMU cannot do it";
	return NULL;
}

static const struct guest_ops snapshot_guest = {
	.pause = direct_pause,
	.resume = qemu_resume,
	.paused_us = qemu_paused_us,
	.overdue = qemu_overdue,
	.torn = qemu_torn,
	.stalled_us = snapshot_stalled_us,
};

/* Read before its snapshot, then pushed */
static const struct source_ops snapshot_ops = {
	.name = "qmp",
	.order = READ_PUSHED,
	.read = direct_read,
	.scan = direct_scan,
	.borrow = direct_borrow,
	.push = snapshot_push,
	.guest = &snapshot_guest,
	.close = qemu_close,
};

const struct qemu_way qemu_way_snapshot = {
	.name = "a background snapshot",
	.ops = &snapshot_ops,
	.live = true,
	.prepare = snapshot_prepare,
	.begin = direct_begin,
	.close = snapshot_close,
};
