/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * bytes_flat.c - a flattened file looks plain
 *
 * The file is a log of "these bytes at that offset"; see sink/sink_flat.c.  All
 * record headers are read once.  The records, sorted, make an index for random
 * access; where some overlap, the later one in the file wins, and what no
 * record covers reads as zero.  Writers write headers again, but never the data
 * of a page: there, an overlap is damage.
 */
#include "bytes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bisect.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "../util/span.h"

enum {
	HEADER_SIZE = 4096,
	RECORD_SIZE = 16,
	WINDOW = 65536,
	MAX_RECORDS = 1 << 28,
	GATHER = 64,
};

/* More than any dump: 2^56 bytes. */
static const uint64_t max_size = (uint64_t)1 << 56;

struct record {
	uint64_t off, len;              /* in the logical file                  */
	uint64_t at;                    /* of its data in the flattened one     */
	bool twice;                     /* another one has the same bytes       */
};

struct bytes_flat {
	struct bytes bytes;
	struct bytes *inner;
	struct record *records;         /* ascending, not overlapping           */
	size_t num_records;
};

/* The first record that ends after @off. */
static size_t record_after(const struct bytes_flat *f, uint64_t off)
{
	return BISECT(f->num_records, i, f->records[i].off + f->records[i].len > off);
}

/* Pieces that follow each other in the flattened file, but for the header between two:
 * writers have small records, and a call for each costs more than its bytes.
 */
struct gather {
	struct iovec iov[GATHER];
	int num;
	uint64_t at, end;
	unsigned char header[RECORD_SIZE];      /* of no interest               */
};

static struct gdump_error *gather_read(struct bytes_flat *f, struct gather *g)
{
	const int num = g->num;

	g->num = 0;
	return num ? bytes_readv(f->inner, g->at, g->iov, num) : NULL;
}

static struct gdump_error *gather_add(struct bytes_flat *f, struct gather *g, uint64_t at,
				      void *buf, size_t len)
{
	const bool follows = g->num && at >= g->end && at - g->end <= RECORD_SIZE;
	struct gdump_error *err = NULL;

	if (!follows || g->num + 2 > GATHER)
		err = gather_read(f, g);
	if (!g->num)
		g->at = at;
	else if (at > g->end)
		g->iov[g->num++] = (struct iovec){ g->header, (size_t)(at - g->end) };
	g->iov[g->num++] = (struct iovec){ buf, len };
	g->end = at + len;
	return err;
}

static struct gdump_error *bytes_flat_read(struct bytes *b, uint64_t off, void *buf, size_t len)
{
	struct bytes_flat *f = (struct bytes_flat *)b;
	struct gather g = { .num = 0 };
	unsigned char *p = buf;

	for (size_t i = record_after(f, off); len && i < f->num_records; i++) {
		const struct record *r = &f->records[i];
		const struct span_step step = span_step(r->off, r->len, off, len);
		struct gdump_error *err;

		memset(p, 0, step.gap);
		p += step.gap, off += step.gap, len -= step.gap;
		if (!step.len)
			break;          /* the hole was all of it */
		err = gather_add(f, &g, r->at + step.skip, p, step.len);
		if (err)
			return err;
		p += step.len, off += step.len, len -= step.len;
	}
	memset(p, 0, len);
	return gather_read(f, &g);
}

static uint64_t bytes_flat_hole(struct bytes *b, uint64_t off, uint64_t len)
{
	struct bytes_flat *f = (struct bytes_flat *)b;
	size_t i = record_after(f, off);

	if (i == f->num_records)
		return MIN(len, b->size - off);
	return f->records[i].off > off ? MIN(len, f->records[i].off - off) : 0;
}

static bool bytes_flat_written(struct bytes *b, uint64_t off, uint64_t len)
{
	struct bytes_flat *f = (struct bytes_flat *)b;

	for (size_t i = record_after(f, off); len && i < f->num_records; i++) {
		const struct record *r = &f->records[i];
		uint64_t n;

		if (r->off > off || r->twice)
			return false;
		n = MIN(len, r->len - (off - r->off));
		off += n, len -= n;
	}
	return !len;
}

static void bytes_flat_close(struct bytes *b)
{
	struct bytes_flat *f = (struct bytes_flat *)b;

	bytes_close(f->inner);
	free(f->records);
	free(f);
}

static const struct bytes_ops bytes_flat_ops = {
	.read = bytes_flat_read,
	.hole = bytes_flat_hole,
	.written = bytes_flat_written,
	.close = bytes_flat_close,
};

static struct gdump_error *bytes_flat_add(struct bytes_flat *f, const struct record *r)
{
	if (f->num_records == MAX_RECORDS)
		return error_new(GDUMP_ERR_UNSUPPORTED, "flattened file: more than %d records",
				 MAX_RECORDS);
	if (!ARRAY_GROW(f->records, f->num_records))
		return error_nomem();
	f->records[f->num_records++] = *r;
	return NULL;
}

/* A look at the file through a window, so that small records cost no call each. */
struct window {
	uint64_t at;
	size_t len;
	unsigned char buf[WINDOW];
};

static struct gdump_error *window_get(struct bytes *in, struct window *w, uint64_t at,
				      const unsigned char **ret)
{
	if (at < w->at || !range_fits(at - w->at, RECORD_SIZE, w->len)) {
		struct gdump_error *err;

		w->at = at;
		w->len = (size_t)MIN(in->size - at, WINDOW);
		err = bytes_read(in, at, w->buf, w->len);
		if (err)
			return err;
	}
	*ret = w->buf + (at - w->at);
	return NULL;
}

static struct gdump_error *record_error(uint64_t at, const char *what, uint64_t value)
{
	return error_new(GDUMP_ERR_CORRUPT,
			 "flattened file: record at offset 0x%" PRIx64 ": %s 0x%" PRIx64, at, what,
			 value);
}

/* Read the records' headers, in file order. */
static struct gdump_error *bytes_flat_scan(struct bytes_flat *f, struct window *w)
{
	struct bytes *in = f->inner;
	uint64_t at = HEADER_SIZE;
	struct gdump_error *err;

	while (range_fits(at, RECORD_SIZE, in->size)) {
		const unsigned char *p = NULL;
		struct record r = { 0 };
		struct cursor c;

		err = window_get(in, w, at, &p);
		if (err)
			return err;
		c = cursor_init(p, RECORD_SIZE, true, true);
		r.off = get_u64(&c);
		r.len = get_u64(&c);
		r.at = at + RECORD_SIZE;
		if (r.off == UINT64_MAX && r.len == UINT64_MAX)
			return NULL;
		if (r.off > max_size)
			return record_error(at, "impossible offset", r.off);
		if (!r.len || r.len > max_size)
			return record_error(at, "impossible length", r.len);
		at = r.at + r.len;
		if (!range_fits(r.at, r.len, in->size)) {
			r.len = in->size - r.at;
			at = in->size;
		}
		err = r.len ? bytes_flat_add(f, &r) : NULL;
		if (err)
			return err;
	}
	f->bytes.truncated = true;
	return NULL;
}

static int record_by_off(const void *a, const void *b)
{
	const struct record *x = a, *y = b;

	return (x->off > y->off) - (x->off < y->off);
}

static int bound_by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The next interval at or after @i that no record has taken yet. */
static uint32_t bound_next_free(uint32_t *next, uint32_t i)
{
	while (next[i] != i) {
		next[i] = next[next[i]];
		i = next[i];
	}
	return i;
}

static uint32_t bound_find(const uint64_t *bounds, uint32_t n, uint64_t value)
{
	const uint64_t *p = bsearch(&value, bounds, n, sizeof(*bounds), bound_by_value);

	return (uint32_t)(p - bounds);
}

/* How many records begin at each bound, less those that end there */
static void bound_count(int32_t *depth, const uint64_t *bounds, uint32_t num,
			const struct record *records, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		depth[bound_find(bounds, num, records[i].off)]++;
		depth[bound_find(bounds, num, records[i].off + records[i].len)]--;
	}
}

/*
 * Cut overlapping records, which are in file order, so that later ones win.
 * All their ends cut the file into intervals; from the last record to the
 * first, each takes the intervals inside of it that are still free.
 */
static struct gdump_error *bytes_flat_cut(struct bytes_flat *f)
{
	const size_t n = f->num_records;
	CLEANUP_FREE uint64_t *bounds = calloc(2 * n + 1, sizeof(*bounds));
	CLEANUP_FREE uint32_t *next = calloc(2 * n + 1, sizeof(*next));
	CLEANUP_FREE uint32_t *owner = calloc(2 * n + 1, sizeof(*owner));
	CLEANUP_FREE int32_t *depth = calloc(2 * n + 1, sizeof(*depth));
	CLEANUP_FREE struct record *old = f->records;
	uint32_t num = 0;
	int32_t deep = 0;

	f->records = NULL;
	f->num_records = 0;
	if (!bounds || !next || !owner || !depth)
		return error_nomem();
	for (size_t i = 0; i < n; i++) {
		bounds[2 * i] = old[i].off;
		bounds[2 * i + 1] = old[i].off + old[i].len;
	}
	qsort(bounds, 2 * n, sizeof(*bounds), bound_by_value);
	for (size_t i = 0; i < 2 * n; i++) {
		if (!i || bounds[i] != bounds[num - 1])
			bounds[num++] = bounds[i];
	}
	for (uint32_t i = 0; i <= num; i++)
		next[i] = i;
	for (size_t r = n; r-- > 0;) {
		uint32_t end = bound_find(bounds, num, old[r].off + old[r].len);
		uint32_t i = bound_next_free(next, bound_find(bounds, num, old[r].off));

		for (; i < end; i = bound_next_free(next, i)) {
			owner[i] = (uint32_t)r + 1;
			next[i] = i + 1;
		}
	}
	bound_count(depth, bounds, num, old, n);
	for (uint32_t i = 0; i + 1 < num; i++) {
		const struct record *r = owner[i] ? &old[owner[i] - 1] : NULL;
		struct record piece;
		struct gdump_error *err;

		deep += depth[i];
		if (!r)
			continue;
		piece = (struct record){ bounds[i], bounds[i + 1] - bounds[i],
					 r->at + (bounds[i] - r->off), deep > 1 };
		err = bytes_flat_add(f, &piece);
		if (err)
			return err;
	}
	return NULL;
}

static bool records_overlap(const struct record *r, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (r[i - 1].off + r[i - 1].len > r[i].off)
			return true;
	}
	return false;
}

static struct gdump_error *bytes_flat_sort(struct bytes_flat *f)
{
	CLEANUP_FREE struct record *sorted = NULL;
	const size_t size = f->num_records * sizeof(*sorted);

	if (!f->num_records)
		return error_new(GDUMP_ERR_CORRUPT, "flattened file: it has no records");
	sorted = malloc(size);
	if (!sorted)
		return error_nomem();
	memcpy(sorted, f->records, size);
	qsort(sorted, f->num_records, sizeof(*sorted), record_by_off);
	if (records_overlap(sorted, f->num_records))
		return bytes_flat_cut(f);
	memcpy(f->records, sorted, size);
	return NULL;
}

static struct gdump_error *bytes_flat_check(const unsigned char *head)
{
	struct cursor c = cursor_init(head, 32, true, true);
	uint64_t type, version;

	cursor_take(&c, 16);
	type = get_u64(&c);
	version = get_u64(&c);
	if (type == 1 && version == 1)
		return NULL;
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "flattened file: type %" PRIu64 ", version %" PRIu64
			 "; only type 1, version 1 is known", type, version);
}

struct gdump_error *bytes_flat_open(struct bytes *inner, struct bytes **ret)
{
	unsigned char head[32] = { 0 };
	CLEANUP_FREE struct bytes_flat *f = NULL;
	CLEANUP_FREE struct window *w = NULL;
	const size_t len = (size_t)MIN(inner->size, sizeof(head));
	struct gdump_error *err = bytes_read(inner, 0, head, len);

	if (err)
		return err;
	if (memcmp(head, "makedumpfile\0\0\0", 16)) {
		*ret = inner;
		return NULL;
	}
	err = bytes_flat_check(head);
	if (err)
		return err;
	f = calloc(1, sizeof(*f));
	w = calloc(1, sizeof(*w));
	if (!f || !w)
		return error_nomem();
	f->bytes = (struct bytes){ .ops = &bytes_flat_ops, .kind = "flattened " };
	f->inner = inner;
	err = bytes_flat_scan(f, w);
	if (!err)
		err = bytes_flat_sort(f);
	if (err) {
		free(f->records);
		return err;
	}
	f->bytes.size = f->records[f->num_records - 1].off + f->records[f->num_records - 1].len;
	*ret = &f->bytes;
	f = NULL;
	return NULL;
}
