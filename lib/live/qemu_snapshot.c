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
 *     snapshot_view.c         reads any memory of the snapshot, for a plan
 *
 * QEMU's settings are changed before anything else, which shows whether QEMU and the host
 * can do it.  A dump of one page shows which notes of CPUs there are; while the guest
 * runs, their contents are of no use yet.  Then there are three cases:
 *
 *   - Nobody reads memory before the dump.  snapshot_push() begins the snapshot, and takes
 *     the registers of that moment out of the stream.  QEMU's own pause is the only one.
 *   - A plan that omits pages has to read memory.  snapshot_pause() begins the snapshot for it,
 *     and the plan reads what QEMU has protected, while the guest runs.  snapshot_push() goes on
 *     from there.
 *   - The registers are needed before they come at the end of the stream, or are of a kind that
 *     cannot be taken out of it.  Then direct_pause() pauses the guest and reads them, and
 *     the guest is resumed when the snapshot has begun.  Before a snapshot, QEMU has all memory
 *     populated, which takes the longer the less of it the guest has used: so we see to that
 *     before the pause.
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
#include "../util/clock.h"
#include "../util/warn.h"
#include "host_memory.h"
#include "prefetch.h"
#include "qemu_direct.h"
#include "qemu_way.h"
#include "snapshot_migration.h"
#include "snapshot_pages.h"
#include "snapshot_pipe.h"
#include "snapshot_view.h"

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
	struct migration stream;
	struct migration_events events;
	unsigned char *buf;
	struct snapshot_pages pages;
	struct prefetch prefetch;
	struct snapshot_view view;
	struct page_sink to_view;
	const struct page_sink *to;
	bool begun;                     /* the memory is write-protected        */
	bool has_cpus;                  /* the notes are of its moment          */
	bool is_viewed;                 /* memory is read through the view      */
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
 * for its answer here, where nobody else reads it.
 */
static struct gdump_error *snapshot_begin(struct snapshot *s)
{
	struct qmp *q = s->qemu->guest.qmp;

	s->begun = true;
	prefetch_begin(&s->prefetch, qmp_pid(q));
	return s->qemu->guest.state == GUEST_PAUSED && !s->is_viewed ? qmp_post(q, "cont") : NULL;
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

/* Pass on or prefetch a little; else *@worked is false. */
static struct gdump_error *snapshot_prefetch(struct snapshot *s, bool *worked)
{
	struct gdump_error *err;

	if (view_is_empty(&s->view))
		err = prefetch_step(&s->prefetch, worked);
	else
		err = view_give(&s->view, s->to, s->pipe.ended, worked);
	if (!err && s->to->canceled(s->to->arg))
		err = error_new(GDUMP_ERR_CANCELED, "canceled");
	return err;
}

/* Take what QEMU has sent.  @idle: there is nothing else to do. */
static struct gdump_error *snapshot_step(struct snapshot *s, bool idle)
{
	struct gdump_error *err = snapshot_pipe_move(&s->pipe, idle);
	size_t len;

	while (!err && s->pipe.moved) {
		err = snapshot_pipe_read(&s->pipe, s->buf, FEED_SIZE, &len);
		if (!err)
			err = migration_feed(&s->stream, s->buf, len);
	}
	return err;
}

/* From where the stream is to its end */
static struct gdump_error *snapshot_take(struct snapshot *s)
{
	struct gdump_error *err = NULL;
	bool worked;

	while (!err && !(s->pipe.ended && view_is_empty(&s->view))) {
		/* QEMU populates the memory first, and we have nothing to do */
		if (!s->begun)
			guest_alive(&s->qemu->guest);
		err = snapshot_prefetch(s, &worked);
		if (!err && !s->pipe.ended)
			err = snapshot_step(s, !worked);
	}
	if (!err && !s->stream.ram_done)
		err = migration_end(&s->stream);
	if (!err && !s->stream.ram_done)
		err = error_new(GDUMP_ERR_REMOTE, "QEMU ended its snapshot too early");
	return err;
}

/* The notes of the CPUs are of an earlier moment: renew them. */
static struct gdump_error *snapshot_take_cpus(struct snapshot *s)
{
	struct image *image = &s->qemu->source.image, now = { .machine = image->machine };
	struct devices devices = { 0 };
	struct gdump_error *err;
	size_t end;

	if (now.machine == EM_386)
		now.machine = EM_X86_64;        /* until the state says so */
	err = devices_describe(&devices, s->tail, s->tail_len);
	if (!err)
		err = devices_parse(&devices, s->tail, s->tail_len, &end);
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

/* Start and end ------------------------------------------------------------- */

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

/* Have QEMU start a snapshot whose pages go to @to. */
static struct gdump_error *snapshot_start(struct snapshot *s, const struct page_sink *to)
{
	static const struct migration_events events = {
		.blocks = snapshot_on_blocks, .page = snapshot_on_page, .rest = snapshot_on_rest,
	};
	CLEANUP_FD int theirs = -1;
	struct gdump_error *err;

	snapshot_init(s, to);
	s->events = events;
	s->events.arg = s;
	s->buf = malloc(FEED_SIZE);
	err = s->buf ? migration_init(&s->stream, 0, &s->events) : error_nomem();
	if (!err && s->has_cpus)
		err = snapshot_pages_put_devices(&s->pages);
	if (!err)
		err = snapshot_pipe_open(&s->pipe, &theirs);
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

static void snapshot_deinit(struct snapshot *s)
{
	if (s->is_viewed)
		view_deinit(&s->view);
	s->view = (struct snapshot_view){ .page_size = 0 };
	s->is_viewed = s->has_cpus = false;
	snapshot_pages_deinit(&s->pages);
	prefetch_end(&s->prefetch);
	migration_deinit(&s->stream);
	s->stream = (struct migration){ .pos = 0 };
	free(s->buf);
	s->buf = NULL;
	free(s->tail);
	s->tail = NULL;
	s->tail_len = s->tail_cap = 0;
}

/* End a snapshot that may have been started, after @err; the worse error of the two. */
static struct gdump_error *snapshot_end(struct snapshot *s, struct gdump_error *err)
{
	struct gdump_error *why = s->is_viewed ? view_stop(&s->view) : NULL;

	if (why && !err)
		err = TAKE_PTR(why);
	gdump_error_destroy(why);
	/* the guard has read the rest, or is about to */
	why = guest_await_guard(&s->qemu->guest);
	if (why) {
		gdump_error_destroy(err);
		err = TAKE_PTR(why);
	}
	if (s->migration.started) {
		if (err) {
			prefetch_cancel(&s->prefetch);
			snapshot_pipe_drain(&s->pipe);
		}
		why = snapshot_finish(s);
		/* when the stream broke off, QEMU knows better why */
		if (why && (!err || gdump_error_code(err) == GDUMP_ERR_REMOTE)) {
			gdump_error_destroy(err);
			err = TAKE_PTR(why);
		}
		gdump_error_destroy(why);
	}
	snapshot_deinit(s);
	return error_prefix(err, "the snapshot of the running guest");
}

/* The registers are needed first: pause the guest for them, but not for longer than it must be. */
static struct gdump_error *snapshot_take_cpus_first(struct snapshot *s)
{
	const struct memory_map *memory = &s->qemu->map.memory;
	struct gdump_error *err;

	for (size_t i = 0; i < memory->num_slots; i++) {
		if (memory->slots[i].kind == GDUMP_RANGE_RAM)
			procmem_populate(s->qemu->mem, memory->slots[i].hva, memory->slots[i].size);
	}
	err = direct_pause(&s->qemu->source);
	s->has_cpus = !err;
	return err;
}

static struct gdump_error *snapshot_collect(void *arg, bool *ended)
{
	struct snapshot *s = arg;
	struct gdump_error *err = snapshot_step(s, true);

	*ended = s->pipe.ended;
	return err;
}

/* Take what QEMU sends before its snapshot begins: first, it populates the guest's memory. */
static struct gdump_error *snapshot_await_begin(struct snapshot *s)
{
	const struct gdump_open_options *opt = &s->qemu->opt;
	struct gdump_error *err = NULL;

	while (!err && !s->begun && !s->pipe.ended) {
		guest_alive(&s->qemu->guest);
		err = snapshot_step(s, true);
		if (!err && opt->cancel && opt->cancel(opt->cancel_arg))
			err = error_new(GDUMP_ERR_CANCELED, "canceled");
	}
	if (!err && !s->begun)
		err = error_new(GDUMP_ERR_REMOTE, "QEMU ended its snapshot too early");
	return err;
}

/* Begin a snapshot, and let memory be read that is of its moment. */
static struct gdump_error *snapshot_start_view(struct snapshot *s)
{
	struct qemu *qemu = s->qemu;
	struct gdump_error *err;

	s->view = (struct snapshot_view){
		.memory = &qemu->map.memory, .mem = qemu->mem,
		.page_size = qemu->source.image.page_size, .collect = snapshot_collect, .arg = s,
	};
	view_init(&s->view);
	s->is_viewed = true;
	s->to_view = view_sink(&s->view);
	err = snapshot_start(s, &s->to_view);
	if (!err)
		err = snapshot_await_begin(s);
	if (!err)
		err = view_start(&s->view);
	if (!err)
		err = guest_resume(&qemu->guest);
	return err;
}

static struct gdump_error *snapshot_pause(struct source *source, bool cpus)
{
	struct qemu *qemu = (struct qemu *)source;
	struct snapshot *s = qemu->snapshot;
	struct gdump_error *err = NULL;

	if (s->is_viewed && cpus && !s->has_cpus)
		return error_new(GDUMP_ERR_USAGE,
				 "the registers are not known before the snapshot has ended; open the guest with live_registers");
	if (s->is_viewed || guest_is_paused(&qemu->guest))
		return NULL;
	if (!view_can_work(&qemu->map.memory, qemu->mem, source->image.page_size)) {
		err = direct_pause(source);
		s->has_cpus = !err;
		return err;
	}
	if (cpus || qemu->opt.live_registers || !cpu_notes_cover(&source->image))
		err = snapshot_take_cpus_first(s);
	if (!err)
		err = snapshot_start_view(s);
	if (err)
		return snapshot_end(s, err);
	source->is_mutable = false;
	return NULL;
}

/* From here on, the pages go to @to. */
static struct gdump_error *snapshot_redirect(struct snapshot *s, const struct page_sink *to)
{
	struct gdump_error *err = view_stop(&s->view);

	s->to = s->pages.to = s->prefetch.to = to;
	return err;
}

static struct gdump_error *snapshot_push(struct source *source, const struct page_sink *to)
{
	struct snapshot *s = ((struct qemu *)source)->snapshot;
	struct gdump_error *err = NULL;

	if (!cpu_notes_cover(&source->image))
		err = snapshot_pause(source, true);
	if (err)
		return err;
	err = s->is_viewed ? snapshot_redirect(s, to) : snapshot_start(s, to);
	if (!err)
		err = snapshot_take(s);
	if (!err && !s->has_cpus)
		err = snapshot_take_cpus(s);
	return snapshot_end(s, err);
}

static struct gdump_error *snapshot_read(struct source *source, uint64_t paddr, void *buf,
					 size_t len)
{
	struct qemu *qemu = (struct qemu *)source;
	struct snapshot *s = qemu->snapshot;

	if (!s->is_viewed || !s->begun)
		return direct_read(source, paddr, buf, len);
	guest_alive(&qemu->guest);
	return view_read(&s->view, paddr, buf, len);
}

/* Nobody wants a snapshot that a plan began: read it to its end first. */
static struct gdump_error *snapshot_resume(struct source *source)
{
	struct qemu *qemu = (struct qemu *)source;
	struct snapshot *s = qemu->snapshot;

	if (s->is_viewed && s->view.is_running)
		gdump_error_destroy(snapshot_end(s, error_new(GDUMP_ERR_CANCELED, "canceled")));
	return qemu_resume(source);
}

/* The way ------------------------------------------------------------------- */

static uint64_t snapshot_stalled_us(const struct source *source)
{
	return ((const struct qemu *)source)->snapshot->pipe.stalled_us;
}

/* A guest that runs waits when it writes to a page, and nobody reads what QEMU sends. */
static struct gdump_error *snapshot_overdue(struct source *source, uint64_t progress)
{
	struct qemu *qemu = (struct qemu *)source;
	const struct snapshot *s = qemu->snapshot;
	const uint64_t looked_us = s->pipe.looked_us;
	struct gdump_error *err = qemu_overdue(source, progress);

	if (!looked_us)
		return err;
	gdump_error_destroy(err);
	return pause_limit_check_wait(&qemu->guest.limit, clock_us() - looked_us);
}

static void snapshot_close(struct qemu *qemu)
{
	struct snapshot *s = qemu->snapshot;

	if (!s)
		return;
	if (s->migration.started)
		gdump_error_destroy(snapshot_end(s, error_new(GDUMP_ERR_CANCELED, "canceled")));
	snapshot_pipe_close(&s->pipe);
	snapshot_migration_restore(&s->migration);
	snapshot_deinit(s);
	mtree_deinit(&s->mtree);
	free(s);
	qemu->snapshot = NULL;
}

/* A snapshot makes QEMU touch all memory: what the guest has never used is allocated then, if it is
 * shared.  Find out whether the host has that much, or it may have to end QEMU.
 */
static struct gdump_error *snapshot_check_memory(const struct qemu *qemu)
{
	const struct memory_map *memory = &qemu->map.memory;
	const bool private = host_memory_reading_allocates();
	struct host_memory host;
	uint64_t need = 0;

	host_memory_of("", qmp_pid(qemu->guest.qmp), &host);
	if (host.available >= memory_map_size(memory))
		return NULL;
	for (size_t i = 0; i < memory->num_slots; i++)
		need += procmem_count_unpopulated(qemu->mem, memory->slots[i].hva,
						  memory->slots[i].size, private);
	return host_memory_check(&host, need);
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
	err = snapshot_check_memory(qemu);
	if (!err)
		err = snapshot_migration_prepare(&s->migration);
	if (!err)
		err = mtree_parse(qemu->map.mtree, &qemu->opt, &s->mtree);
	return error_prefix(err, "cannot take a snapshot of the running guest");
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
				"cannot take a snapshot of the running guest: its memory cannot be read directly");
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
	.pause = snapshot_pause,
	.resume = snapshot_resume,
	.paused_us = qemu_paused_us,
	.overdue = snapshot_overdue,
	.torn = qemu_torn,
	.stalled_us = snapshot_stalled_us,
};

/* Read before its snapshot, then pushed */
static const struct source_ops snapshot_ops = {
	.name = "qmp",
	.order = READ_PUSHED,
	.read = snapshot_read,
	.scan = direct_scan,
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
