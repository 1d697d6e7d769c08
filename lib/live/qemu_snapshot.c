/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu_snapshot.c - a guest of QEMU that runs on while it is dumped
 *
 * Theory of operation.  QEMU's background snapshot write-protects the guest's
 * memory at one moment and then sends each page once, as it was at that moment:
 * first those that the guest wants to write to.  It is a migration into a pipe of
 * ours, with the capability "background-snapshot".
 *
 * All that can be done before the guest is paused comes first: the capability is
 * set, and so it turns out whether QEMU and the host can do it.  Then the guest is
 * stopped as for any dump, its CPUs are read, and the plan is made from its memory.
 * At that point, in snapshot_push(), the migration is started: QEMU takes the
 * snapshot of the guest as it stands and lets it go on.  So registers, plan and
 * memory are of the same moment.
 *
 * Memory of devices is small and not always told apart by its name in the stream:
 * it is read before the start.  While the stream lasts, the guest may wait for
 * pages that it wants to write to: so we read without a pause, and buffer.
 *
 * A snapshot that breaks off, be it by migrate_cancel or by a closed pipe, leaves
 * the memory write-protected (QEMU 7.2), and the guest hangs at its next write.  So
 * what was begun is read to its end, also when nobody wants it any more: by us, or
 * if we are killed by the guard, who has the pipe as well.  Then QEMU's settings are
 * put back.
 */
#include "qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "../migration/stream.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "mtree.h"

#define CAPABILITY "background-snapshot"
#define FD_NAME "guestdump-snapshot"

enum {
	PIPE_SIZE = 1 << 20,
	TICK_MS = 100,
	DRAIN_MS = 30000,               /* for more to come                     */
	END_US = 30000000,              /* for a migration to end               */
	MAX_BANDWIDTH_SHIFT = 60,
};

/* Where a piece of a memory block is in the guest */
struct piece {
	uint32_t block;
	uint64_t off, size, paddr;
};

struct snapshot {
	struct qemu *qemu;
	bool set;                       /* the capability is                    */
	bool started;                   /* the migration was                    */
	int fd;                         /* of the pipe                          */
	uint64_t bandwidth;             /* as it was; 0: not known              */
	struct mtree mtree;
	struct piece *pieces;           /* by block and offset                  */
	size_t num_pieces, last;        /* last: the one of the last page       */
	struct migration_reader reader;
	const struct page_taker *to;
	uint32_t page_size;             /* QEMU's                               */
};

/* QEMU's settings ----------------------------------------------------------- */

static struct gdump_error *set_capability(struct qmp *q, bool on)
{
	return qmp_execute(q, "migrate-set-capabilities",
			   json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability", CAPABILITY,
				     "state", on), NULL);
}

static struct gdump_error *set_bandwidth(struct qmp *q, uint64_t bytes)
{
	return qmp_execute(q, "migrate-set-parameters",
			   json_pack("{s:I}", "max-bandwidth", (json_int_t)bytes), NULL);
}

/* Whether the capability is on already; QEMU without it refuses. */
static struct gdump_error *get_capability(struct qmp *q, bool *on)
{
	CLEANUP_JSON json_t *caps = NULL;
	struct gdump_error *err = qmp_execute(q, "query-migrate-capabilities", NULL, &caps);
	const json_t *cap;
	size_t i;

	if (err)
		return err;
	json_array_foreach(caps, i, cap) {
		const char *name = json_string_value(json_object_get(cap, "capability"));

		if (name && !strcmp(name, CAPABILITY)) {
			*on = json_is_true(json_object_get(cap, "state"));
			return NULL;
		}
	}
	return error_new(GDUMP_ERR_REMOTE, "this QEMU has no background snapshots (6.0 has)");
}

struct gdump_error *snapshot_prepare(struct qemu *qemu)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	CLEANUP_JSON json_t *params = NULL;
	struct qmp *q = qemu->guest.qmp;
	struct gdump_error *err;
	bool was_on = false;

	if (!s)
		return error_nomem();
	*s = (struct snapshot){ .qemu = qemu, .fd = -1 };
	qemu->snapshot = s;
	err = get_capability(q, &was_on);
	if (!err && !was_on) {
		err = set_capability(q, true);
		s->set = !err;
	}
	if (!err)
		err = qmp_execute(q, "query-migrate-parameters", NULL, &params);
	if (!err)
		err = qmp_get_uint(params, "query-migrate-parameters", "max-bandwidth",
				   &s->bandwidth);
	if (!err)
		err = set_bandwidth(q, (uint64_t)1 << MAX_BANDWIDTH_SHIFT);
	if (!err)
		err = mtree_parse(qemu->layout.mtree, &qemu->opt, &s->mtree);
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

/* Give QEMU one end of a pipe and begin. */
static struct gdump_error *start(struct snapshot *s)
{
	struct qmp *q = s->qemu->guest.qmp;
	CLEANUP_FD int theirs = -1;
	struct gdump_error *err;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return error_os(errno, "making a pipe");
	s->fd = fds[0];
	theirs = fds[1];
	fcntl(s->fd, F_SETPIPE_SZ, PIPE_SIZE);
	fcntl(s->fd, F_SETFL, O_NONBLOCK);
	err = guest_guard_pipe(&s->qemu->guest, s->fd);
	if (!err)
		err = qmp_send_fd(q, FD_NAME, theirs);
	if (err)
		return err;
	err = qmp_execute(q, "migrate", json_pack("{s:s}", "uri", "fd:" FD_NAME), NULL);
	s->started = !err || !qmp_refusal(q);
	return err;
}

/* The end was reached: what did QEMU think of it, and how long did it take? */
static struct gdump_error *finish(struct snapshot *s, uint64_t began_us)
{
	struct guest *g = &s->qemu->guest;
	CLEANUP_JSON json_t *done = NULL;
	struct gdump_error *err = wait_end(g->qmp, &done);
	const char *status = "", *why;
	uint64_t downtime = 0;

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
	if (json_is_integer(json_object_get(done, "downtime")))
		downtime = (uint64_t)json_integer_value(json_object_get(done, "downtime"));
	/* QEMU counts from where it takes over */
	s->qemu->resumed = true;
	gdump_error_destroy(guest_guard_pipe(g, -1));
	guest_was_resumed(g, began_us - g->stop_us + 1000 * downtime);
	return NULL;
}

/* The stream ---------------------------------------------------------------- */

static struct gdump_error *read_some(struct migration_reader *r, void *buf, size_t len, size_t *got)
{
	struct snapshot *s = (struct snapshot *)((char *)r - offsetof(struct snapshot, reader));
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	for (;;) {
		ssize_t n = read(s->fd, buf, len);

		if (n >= 0) {
			*got = (size_t)n;
			return NULL;
		}
		if (errno != EAGAIN && errno != EINTR)
			return error_os(errno, "reading QEMU's snapshot from a pipe");
		poll(&p, 1, TICK_MS);
		if (s->to->stopped(s->to->arg))
			return error_new(GDUMP_ERR_CANCELED, "canceled");
	}
}

static const char *last_part(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

/* The guest's RAM that lies in block @i of the stream */
static struct gdump_error *add_block(struct snapshot *s, uint32_t i, const char *name)
{
	const struct layout *layout = &s->qemu->layout;

	for (size_t r = 0; r < s->mtree.num_ranges; r++) {
		const struct mtree_range *m = &s->mtree.ranges[r];
		size_t slot = layout_find(layout, m->start);

		if (slot == layout->num_slots || layout->slots[slot].kind != GDUMP_RANGE_RAM ||
		    layout->slots[slot].paddr > m->start + (m->size - 1) ||
		    strcmp(last_part(m->name), last_part(name)))
			continue;
		s->pieces[s->num_pieces++] = (struct piece){
			.block = i, .off = m->off, .size = m->size, .paddr = m->start,
		};
	}
	return NULL;
}

static struct gdump_error *take_blocks(void *arg, const struct migration *m)
{
	struct snapshot *s = arg;
	struct gdump_error *err = NULL;
	size_t found = 0;

	s->page_size = m->page_size;
	if (m->page_size != s->qemu->source.image.page_size)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "QEMU's snapshot has pages of %u bytes, the guest's kernel of %u",
				 m->page_size, s->qemu->source.image.page_size);
	/* a range is in one block, unless names repeat */
	s->pieces = calloc(s->mtree.num_ranges * 2 + 1, sizeof(*s->pieces));
	if (!s->pieces)
		return error_nomem();
	for (size_t i = 0; !err && i < m->num_blocks; i++) {
		if (s->num_pieces + s->mtree.num_ranges > s->mtree.num_ranges * 2)
			return error_new(GDUMP_ERR_UNSUPPORTED,
					 "QEMU's snapshot has several blocks of memory of one name");
		err = add_block(s, (uint32_t)i, m->blocks[i].name);
	}
	for (size_t i = 0; i < s->qemu->layout.num_slots; i++)
		found += s->qemu->layout.slots[i].kind == GDUMP_RANGE_RAM;
	if (!err && s->num_pieces < found)
		err = error_new(GDUMP_ERR_UNSUPPORTED,
				"QEMU's snapshot does not name all of the guest's memory");
	return err;
}

/* The guest-physical address of a page, or UINT64_MAX: it is no RAM of the guest. */
static uint64_t find_paddr(struct snapshot *s, const struct migration_page *page)
{
	for (size_t n = 0; n < s->num_pieces; n++) {
		size_t i = (s->last + n) % s->num_pieces;
		const struct piece *p = &s->pieces[i];

		if (p->block == page->block && page->off >= p->off &&
		    page->off - p->off < p->size) {
			s->last = i;
			return p->paddr + (page->off - p->off);
		}
	}
	return UINT64_MAX;
}

static struct gdump_error *take_page(void *arg, const struct migration_page *page)
{
	struct snapshot *s = arg;
	const uint64_t paddr = find_paddr(s, page);

	if (paddr == UINT64_MAX)
		return NULL;
	if (page->kind == MIGRATION_RAW)
		return s->to->page(s->to->arg, paddr / s->page_size, page->data);
	if (page->kind == MIGRATION_FILL && !page->fill)
		return s->to->page(s->to->arg, paddr / s->page_size, NULL);
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "QEMU's snapshot has a page in a form that no snapshot has: is compression on?");
}

/* What is not RAM is small: copy it while the guest stands still. */
static struct gdump_error *push_devices(struct snapshot *s)
{
	const struct image *image = &s->qemu->source.image;
	CLEANUP_FREE unsigned char *page = malloc(image->page_size);

	if (!page)
		return error_nomem();
	for (size_t i = 0; i < image->num_ranges; i++) {
		const struct gdump_range *r = &image->ranges[i];
		uint64_t end = r->start + r->size;

		if (r->kind == GDUMP_RANGE_RAM)
			continue;
		for (uint64_t paddr = round_down(r->start, image->page_size); paddr < end;
		     paddr += image->page_size) {
			struct gdump_error *err = source_read(&s->qemu->source, paddr, page,
							      image->page_size);

			if (!err)
				err = s->to->page(s->to->arg, paddr / image->page_size, page);
			if (err)
				return err;
		}
	}
	return NULL;
}

static struct gdump_error *run_stream(struct snapshot *s)
{
	const struct migration_events events = {
		.blocks = take_blocks, .page = take_page, .arg = s,
	};
	struct migration m = { .page_size = s->qemu->source.image.page_size };
	struct gdump_error *err;
	unsigned char rest[4096];
	size_t got = 1;

	s->reader = (struct migration_reader){ .read = read_some };
	err = migration_run(&m, &s->reader, 0, &events);
	if (!err && !m.ram_done)
		err = error_new(GDUMP_ERR_REMOTE, "QEMU ended its snapshot too early");
	migration_deinit(&m);
	/* devices follow; QEMU wants to be rid of them */
	while (!err && got)
		err = read_some(&s->reader, rest, sizeof(rest), &got);
	return err;
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

struct gdump_error *snapshot_push(struct source *source, const struct page_taker *to)
{
	struct qemu *qemu = (struct qemu *)source;
	struct snapshot *s = qemu->snapshot;
	struct gdump_error *err, *why = NULL;
	uint64_t began_us;

	s->to = to;
	err = push_devices(s);
	if (err)
		return err;
	began_us = clock_us();
	err = start(s);
	if (!err)
		err = run_stream(s);
	if (err && s->started)
		drain(s);
	if (s->started)
		why = finish(s, began_us);
	/* when the stream broke off, QEMU knows better why */
	if (why && (!err || gdump_error_code(err) == GDUMP_ERR_REMOTE)) {
		gdump_error_destroy(err);
		err = why;
	} else {
		gdump_error_destroy(why);
	}
	return error_prefix(err, "the snapshot of the running guest");
}

void snapshot_close(struct qemu *qemu)
{
	struct snapshot *s = qemu->snapshot;
	struct qmp *q = qemu->guest.qmp;

	if (!s)
		return;
	if (s->started) {
		drain(s);
		gdump_error_destroy(wait_end(q, NULL));
	}
	if (s->fd >= 0)
		close(s->fd);
	if (s->bandwidth)
		gdump_error_destroy(set_bandwidth(q, s->bandwidth));
	if (s->set)
		gdump_error_destroy(set_capability(q, false));
	mtree_deinit(&s->mtree);
	free(s->pieces);
	free(s);
	qemu->snapshot = NULL;
}
