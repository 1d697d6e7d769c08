/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_snapshot.c - a guest of QEMU that runs on while it is dumped
 *
 * Theory of operation.  QEMU's background snapshot stops the guest for a moment, keeps
 * the state of its devices and CPUs, write-protects its memory and lets it go on.  Then
 * it sends each page once, as it was at that moment, those first that the guest wants to
 * write to, and at the end the devices.  It is a migration into a pipe of ours, with the
 * capability "background-snapshot".
 *
 * The capability is set first, and so it turns out whether QEMU and the host can do it.
 * A dump of one page tells what notes there are of the CPUs; while the guest runs, as
 * they are but place holders.  From then on there are two ways:
 *
 *   - Nobody wants to read memory: snapshot_push() starts the migration, and takes the
 *     registers of the moment out of the stream.  QEMU's own pause is the only one.
 *   - Somebody does, for a plan that leaves pages out, or the registers are of a kind
 *     that cannot be taken out of the stream: direct_pause() pauses the guest, its CPUs are
 *     read again, and the memory is of that moment, too, until QEMU lets the guest go on.
 *
 * The little memory of devices that the stream has under no clear name is read directly.
 *
 * Meanwhile we read the memory ourselves, from its other end (see ahead.c): the stream alone
 * would take several times as long.
 *
 * While the stream lasts, the guest may wait for pages that it wants to write to, if the
 * pipe is full: so that never becomes full, and we buffer.  But QEMU writes page by page,
 * and who waits for the next one costs both a change of tasks for each.  So if a turn
 * brought little, and there is nothing to be read, a nap comes before the next, in which
 * much less comes than the pipe can hold.  And who copies out of a pipe locks it until all
 * is copied.  So what is in there is moved to a pipe that is ours alone, which copies
 * nothing, and is read from that one.
 *
 * A snapshot that breaks off, be it by migrate_cancel or by a closed pipe, leaves
 * the memory write-protected (QEMU 7.2), and the guest hangs at its next write.  So
 * what was begun is read to its end, also when nobody wants it any more: by us, or
 * if we are killed by the guard, who has the pipe as well.  Then the capability is
 * put back.
 */
#include "qemu_guest.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../migration/cpu_notes.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "ahead.h"
#include "assembly.h"
#include "blocks.h"
#include "qemu_direct.h"
#include "qemu_way.h"

#define CAPABILITY "background-snapshot"

/* The name that QEMU has for its end of the pipe */
#define SNAPSHOT_FD "guestdump-snapshot"

enum {
	PIPE_SIZE = 1 << 20,            /* that everybody may have              */
	PIPE_SIZE_ROOT = 4 << 20,
	LITTLE = 128 << 10,             /* a read brought less: nap longer      */
	MUCH = 384 << 10,               /* more: nap less long                  */
	NAP_MIN_US = 50,
	NAP_MAX_US = 500,
	TICK_MS = 100,
	DRAIN_MS = 30000,               /* for more to come                     */
	END_US = 30000000,              /* for a migration to end               */
	FEED_SIZE = 1 << 20,            /* of the stream, at once               */
	TAIL_FIRST = 1 << 20,           /* the devices' states: so many bytes,  */
	TAIL_MAX = 256 << 20,           /* or at most so many                   */
};

struct snapshot {
	struct qemu *qemu;
	bool set;                       /* the capability is                    */
	bool started;                   /* the migration was                    */
	bool let_go;                    /* the guest was, if we had stopped it  */
	int fd;                         /* of the pipe                          */
	int inner[2];                   /* the one that is ours alone           */
	size_t moved;                   /* bytes in it                          */
	bool empty, ended;              /* QEMU's pipe was; and is at its end   */
	struct mtree mtree;
	struct block_map map;
	struct ahead ahead;
	struct assembly assembly;       /* where the guest's pages are larger   */
	const struct page_sink *to;
	uint64_t read_us;               /* when we last got something; 0: nothing yet */
	uint64_t stalled_us;            /* the longest time that we did not ask */
	unsigned int nap_us;            /* before we read again                 */
	unsigned char *tail;            /* the devices' states                  */
	size_t tail_len, tail_cap;
};

/* QEMU's settings ----------------------------------------------------------- */

static struct gdump_error *set_capability(struct qmp *q, bool on)
{
	return qmp_execute(q, "migrate-set-capabilities",
			   json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability", CAPABILITY,
				     "state", on), NULL);
}

/* Whether the capability is on already; QEMU without it refuses.  That it does not go
 * along with another one QEMU says when it is set; but for this one, only later.
 */
static struct gdump_error *get_capability(struct qmp *q, bool *on)
{
	CLEANUP_JSON json_t *caps = NULL;
	struct gdump_error *err = qmp_execute(q, "query-migrate-capabilities", NULL, &caps);
	bool known = false;
	const json_t *cap;
	size_t i;

	if (err)
		return err;
	json_array_foreach(caps, i, cap) {
		const char *name = json_string_value(json_object_get(cap, "capability"));

		const bool is_on = json_is_true(json_object_get(cap, "state"));

		if (name && is_on && !strcmp(name, "mapped-ram"))
			return error_new(GDUMP_ERR_REMOTE,
					 "mapped-ram is on, with which nothing goes through a pipe");
		if (name && !strcmp(name, CAPABILITY)) {
			known = true;
			*on = is_on;
		}
	}
	return known ? NULL : error_new(GDUMP_ERR_REMOTE, "this QEMU has no background snapshots (6.0 has)");
}

/* Devices that cannot be migrated cannot be in a snapshot either. */
static struct gdump_error *check_blockers(struct qmp *q)
{
	CLEANUP_JSON json_t *json = NULL;
	struct gdump_error *err = qmp_execute(q, "query-migrate", NULL, &json);
	const char *why;

	if (err)
		return err;
	why = json_string_value(json_array_get(json_object_get(json, "blocked-reasons"), 0));
	return why ? error_new(GDUMP_ERR_REMOTE, "QEMU says: %s", why) : NULL;
}

/* From here on the guard turns it off again if we can't. */
static struct gdump_error *turn_on(struct snapshot *s)
{
	static const char undo[] =
		"\"execute\":\"migrate-set-capabilities\",\"arguments\":{\"capabilities\":["
		"{\"capability\":\"" CAPABILITY "\",\"state\":false}]}";
	struct gdump_error *err = guest_guard_undo(&s->qemu->guest, undo);

	if (err)
		return err;
	s->set = true;
	err = set_capability(s->qemu->guest.qmp, true);
	return err;
}

static struct gdump_error *snapshot_try(struct qemu *qemu)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct gdump_error *err;
	bool was_on = false;

	if (!s)
		return error_nomem();
	*s = (struct snapshot){ .qemu = qemu, .fd = -1, .inner = { -1, -1 } };
	qemu->snapshot = s;
	err = get_capability(qemu->guest.qmp, &was_on);
	if (!err)
		err = check_blockers(qemu->guest.qmp);
	if (!err && !was_on)
		err = turn_on(s);
	if (!err)
		err = mtree_parse(qemu->map.mtree, &qemu->opt, &s->mtree);
	return error_prefix(err, "a snapshot of the running guest");
}

/* The migration ------------------------------------------------------------- */

static struct gdump_error *query(struct qmp *q, json_t **json, const char **status)
{
	struct gdump_error *err = qmp_execute(q, "query-migrate", NULL, json);

	*status = "none";
	if (!err && json_object_get(*json, "status"))
		err = qmp_get_string(*json, "query-migrate", "status", status);
	return err;
}

static bool is_over(const char *status)
{
	return !strcmp(status, "none") || !strcmp(status, "completed") ||
	       !strcmp(status, "failed") || !strcmp(status, "cancelled");
}

/* Wait until the migration is over; @done (may be NULL) gets what QEMU says. */
static struct gdump_error *wait_end(struct qmp *q, json_t **done)
{
	const uint64_t begun = clock_us();

	for (;;) {
		CLEANUP_JSON json_t *json = NULL;
		const char *status;
		struct gdump_error *err = query(q, &json, &status);

		if (err)
			return err;
		if (is_over(status)) {
			if (done)
				*done = json_incref(json);
			return NULL;
		}
		if (clock_us() - begun > END_US)
			return error_new(GDUMP_ERR_REMOTE, "QEMU's snapshot does not end (%s)",
					 status);
		poll(NULL, 0, 5);
	}
}

/* A large one */
static struct gdump_error *make_pipe(int fds[2])
{
	if (pipe2(fds, O_CLOEXEC))
		return error_os(errno, "making a pipe");
	if (fcntl(fds[0], F_SETPIPE_SZ, PIPE_SIZE_ROOT) < 0)
		fcntl(fds[0], F_SETPIPE_SZ, PIPE_SIZE);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	return NULL;
}

static void close_pipes(struct snapshot *s)
{
	int *fds[] = { &s->fd, &s->inner[0], &s->inner[1] };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	s->moved = 0;
}

/* Give QEMU one end of a pipe and begin. */
static struct gdump_error *start(struct snapshot *s)
{
	struct qmp *q = s->qemu->guest.qmp;
	CLEANUP_FD int theirs = -1;
	struct gdump_error *err;
	int fds[2];

	close_pipes(s);
	err = make_pipe(fds);
	if (err)
		return err;
	s->fd = fds[0];
	theirs = fds[1];
	err = make_pipe(s->inner);
	if (!err)
		err = guest_guard_pipe(&s->qemu->guest, SNAPSHOT_FD, s->fd);
	if (!err)
		err = qmp_send_fd(q, SNAPSHOT_FD, theirs);
	if (err)
		return err;
	err = qmp_execute(q, "migrate", json_pack("{s:s}", "uri", "fd:" SNAPSHOT_FD), NULL);
	s->started = !err || !qmp_refusal(q);
	return err;
}

/* The end was reached: what did QEMU think of it, and how long did it take? */
static struct gdump_error *finish(struct snapshot *s)
{
	struct guest *g = &s->qemu->guest;
	CLEANUP_JSON json_t *done = NULL;
	struct gdump_error *err = wait_end(g->qmp, &done);
	const char *status = "", *why;

	if (!err)
		err = qmp_get_string(done, "query-migrate", "status", &status);
	if (err)
		return err;
	s->started = false;
	if (strcmp(status, "completed")) {
		why = json_string_value(json_object_get(done, "error-desc"));
		return error_new(GDUMP_ERR_REMOTE, "QEMU's snapshot has %s%s%s", status,
				 why ? ": " : "", why ? why : "");
	}
	s->qemu->source.is_mutable = true;
	err = guest_resume(g);
	if (!err)
		guest_was_resumed(g);
	return err;
}

/* The stream ---------------------------------------------------------------- */

/* Since we last got something we were busy, or had no room. */
static void count_stall(struct snapshot *s)
{
	const uint64_t now = clock_us();

	if (s->read_us)
		s->stalled_us = MAX(s->stalled_us, now - s->read_us);
}

/* @got bytes came: how long it is worth to wait for more */
static void choose_nap(struct snapshot *s, size_t got)
{
	if (got < LITTLE)
		s->nap_us = MIN(MAX(2 * s->nap_us, (unsigned int)NAP_MIN_US),
				(unsigned int)NAP_MAX_US);
	else if (got > MUCH)
		s->nap_us /= 4;
}

static void nap(const struct snapshot *s)
{
	const struct timespec time = { .tv_nsec = s->nap_us * 1000L };

	if (s->nap_us)
		nanosleep(&time, NULL);
}

/* Read ahead a little; else *@worked is false. */
static struct gdump_error *work(struct snapshot *s, bool *worked)
{
	struct gdump_error *err = ahead_work(&s->ahead, worked);

	if (!err && s->to->canceled(s->to->arg))
		err = error_new(GDUMP_ERR_CANCELED, "canceled");
	return err;
}

/* Move all that QEMU has sent to our own pipe; *@moved: so many bytes, or none yet.  When
 * it is @idle, the caller has nothing else to do than to wait a little.
 */
static struct gdump_error *move_some(struct snapshot *s, bool idle)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	ssize_t n;

	if (!s->empty)
		count_stall(s);
	if (idle && s->empty)
		poll(&p, 1, TICK_MS);
	else if (idle)
		nap(s);
	n = splice(s->fd, NULL, s->inner[1], NULL, PIPE_SIZE_ROOT, SPLICE_F_NONBLOCK);
	s->empty = n < 0;
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return error_os(errno, "cannot move QEMU's snapshot from pipe to pipe");
	if (n < 0)
		return NULL;
	s->ended = !n;
	s->moved = (size_t)n;
	choose_nap(s, s->moved);
	s->read_us = clock_us();
	return NULL;
}

/* Read and parse what was moved. */
static struct gdump_error *feed(struct snapshot *s, struct migration *m, void *buf)
{
	struct gdump_error *err = NULL;

	while (!err && s->moved) {
		const ssize_t n = TEMP_FAILURE_RETRY(read(s->inner[0], buf, FEED_SIZE));

		if (n < 0)
			return error_os(errno, "cannot read QEMU's snapshot from a pipe");
		s->moved -= (size_t)n;
		err = migration_feed(m, buf, (size_t)n);
	}
	return err;
}

/* Copy memory of devices from QEMU's process: all, or what is in no block. */
static struct gdump_error *push_devices(struct snapshot *s, bool all)
{
	const struct image *image = &s->qemu->source.image;
	CLEANUP_FREE unsigned char *page = malloc(image->page_size);
	struct gdump_error *err = page ? NULL : error_nomem();

	for (size_t i = 0; !err && i < image->num_ranges; i++) {
		const struct gdump_range *r = &image->ranges[i];
		const uint64_t end = r->start + r->size;

		if (r->kind == GDUMP_RANGE_RAM)
			continue;
		for (uint64_t paddr = round_down(r->start, image->page_size); !err && paddr < end;
		     paddr += image->page_size) {
			if (!all && block_map_has(&s->map, MAX(paddr, r->start)))
				continue;
			err = source_read(&s->qemu->source, paddr, page, image->page_size);
			if (!err)
				err = s->to->put(s->to->arg, paddr / image->page_size, page);
		}
	}
	return err;
}

static struct gdump_error *take_blocks(void *arg, const struct migration *m)
{
	struct snapshot *s = arg;
	const uint32_t page_size = s->qemu->source.image.page_size;
	struct gdump_error *err;

	if (m->mapped_ram)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "QEMU's snapshot cannot come through a pipe: mapped-ram is on");
	if (m->page_size > page_size || page_size / m->page_size > 64)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "QEMU's snapshot has pages of %u bytes, the guest's kernel of %u",
				 m->page_size, page_size);
	s->assembly = (struct assembly){ .page_size = page_size, .part_size = m->page_size };
	err = block_map_make(&s->map, &s->mtree, &s->qemu->map.memory, m);
	return err ? err : push_devices(s, false);
}

/* The memory is write-protected, and we may read ahead.  To a guest that we stopped, newer versions of QEMU leave
 * it to us to go on.  They may write to its memory for that, and wait for us to read: so
 * there is no waiting for an answer here.
 */
static struct gdump_error *let_go(struct snapshot *s)
{
	struct qmp *q = s->qemu->guest.qmp;

	s->let_go = true;
	ahead_begin(&s->ahead, qmp_pid(q));
	return s->qemu->guest.state == GUEST_PAUSED ? qmp_post(q, "cont") : NULL;
}

/* What is at @paddr, a page of QEMU's; NULL: it is zero. */
static struct gdump_error *give(struct snapshot *s, uint64_t paddr, const void *data)
{
	struct assembly *a = &s->assembly;
	const uint64_t pfn = paddr / a->page_size;
	const struct page_sink *to = s->to;
	struct gdump_error *err;

	if (a->page_size == a->part_size)
		return to->put(to->arg, pfn, data);
	if (!to->wants(to->arg, pfn))
		return NULL;
	err = assembly_add(a, paddr, data, &data);
	return err || !data ? err : to->put(to->arg, pfn, data);
}

static struct gdump_error *take_page(void *arg, const struct migration_page *page)
{
	struct snapshot *s = arg;
	struct gdump_error *err = s->let_go ? NULL : let_go(s);
	uint64_t paddr;
	size_t i = 0;

	if (err)
		return err;
	if (page->kind != MIGRATION_RAW && (page->kind != MIGRATION_FILL || page->fill))
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "QEMU's snapshot has a page in a form that no snapshot has: is compression on?");
	while (!err && block_map_next(&s->map, page->block, page->off, &i, &paddr))
		err = give(s, paddr, page->kind == MIGRATION_RAW ? page->data : NULL);
	return err;
}

/* The devices' states, which end the stream */
static struct gdump_error *take_rest(void *arg, const unsigned char *buf, size_t len)
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

/* What the notes of the CPUs said until now is of an earlier moment. */
static struct gdump_error *take_cpus(struct snapshot *s)
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
				"QEMU's snapshot has not the registers of the %zu CPUs that the guest had",
				image->num_cpus);
	image_deinit(&now);
	devices_deinit(&devices);
	return err;
}

/* From the stream's start to its end */
static struct gdump_error *run_stream(struct snapshot *s, struct migration *m)
{
	CLEANUP_FREE unsigned char *buf = malloc(FEED_SIZE);
	struct gdump_error *err = buf ? NULL : error_nomem();
	bool worked;

	while (!err && !s->ended) {
		err = work(s, &worked);
		if (!err)
			err = move_some(s, !worked);
		if (!err)
			err = feed(s, m, buf);
	}
	if (!err && !m->ram_done)
		err = migration_end(m);
	if (!err && !m->ram_done)
		err = error_new(GDUMP_ERR_REMOTE, "QEMU ended its snapshot too early");
	return err;
}

static struct gdump_error *take_stream(struct snapshot *s, bool held)
{
	const struct migration_events events = {
		.blocks = take_blocks, .page = take_page, .rest = take_rest, .arg = s,
	};
	struct migration m;
	struct gdump_error *err = migration_init(&m, 0, &events);

	s->read_us = s->stalled_us = s->nap_us = 0;
	s->let_go = s->ended = s->empty = false;
	if (!err)
		err = run_stream(s, &m);
	migration_deinit(&m);
	return err || held ? err : take_cpus(s);
}

/* Read the rest, whatever it is. */
static void drain(struct snapshot *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	char buf[65536];
	ssize_t n;

	while (poll(&p, 1, DRAIN_MS) > 0) {
		n = read(s->fd, buf, sizeof(buf));
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
			break;
	}
}

/* Of one snapshot */
static void forget(struct snapshot *s)
{
	block_map_deinit(&s->map);
	ahead_end(&s->ahead);
	assembly_deinit(&s->assembly);
	free(s->tail);
	s->tail = NULL;
	s->tail_len = s->tail_cap = 0;
}

static struct gdump_error *snapshot_push(struct source *source, const struct page_sink *to)
{
	struct qemu *qemu = (struct qemu *)source;
	struct snapshot *s = qemu->snapshot;
	struct gdump_error *err = NULL, *why = NULL;
	bool held;

	s->to = to;
	s->ahead = (struct ahead){
		.mem = qemu->mem, .slots = qemu->map.memory.slots, .num_slots = qemu->map.memory.num_slots,
		.page_size = source->image.page_size, .to = to,
	};
	if (!cpu_notes_cover(&source->image))
		err = direct_pause(source);
	held = guest_is_paused(&qemu->guest);
	if (!err && held)
		err = push_devices(s, true);
	if (!err)
		err = start(s);
	if (!err)
		err = take_stream(s, held);
	if (err && s->started) {
		ahead_cancel(&s->ahead);
		drain(s);
	}
	if (s->started)
		why = finish(s);
	forget(s);
	/* when the stream broke off, QEMU knows better why */
	if (why && (!err || gdump_error_code(err) == GDUMP_ERR_REMOTE)) {
		gdump_error_destroy(err);
		err = why;
	} else {
		gdump_error_destroy(why);
	}
	return error_prefix(err, "the snapshot of the running guest");
}

static uint64_t snapshot_stalled_us(const struct source *source)
{
	return ((const struct qemu *)source)->snapshot->stalled_us;
}

static void snapshot_close(struct qemu *qemu)
{
	struct snapshot *s = qemu->snapshot;
	struct qmp *q = qemu->guest.qmp;

	if (!s)
		return;
	if (s->started) {
		drain(s);
		gdump_error_destroy(wait_end(q, NULL));
	}
	close_pipes(s);
	if (s->set)
		gdump_error_destroy(set_capability(q, false));
	guest_guard_undone(&qemu->guest);
	mtree_deinit(&s->mtree);
	forget(s);
	free(s);
	qemu->snapshot = NULL;
}

/* QEMU can do it before the guest is paused, or not at all. */
static struct gdump_error *snapshot_prepare(struct qemu *qemu, const char **unfit)
{
	struct gdump_error *err;

	*unfit = NULL;
	if (qemu->opt.live == GDUMP_LIVE_NO || !qemu->opt.pause_guest)
		*unfit = "nobody asked for it";
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
	qemu_warn(&qemu->opt, "the guest is paused until its memory is read: %s",
		  gdump_error_message(err));
	gdump_error_destroy(err);
	*unfit = "QEMU cannot do it";
	return NULL;
}

static const struct guest_ops snapshot_guest = {
	.pause = direct_pause,
	.resume = qemu_resume,
	.paused_us = qemu_paused_us,
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
