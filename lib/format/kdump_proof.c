/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/kdump_proof.c - whether the bitmaps, descriptors and data of a kdump file agree
 *
 * A bit that is lost in a bitmap shifts the descriptors of all pages after it, and so gives
 * each of them the contents of another page.  All writers put page data right after the
 * descriptors, without a gap, and let no two pages share data but for one zero page at its
 * beginning.  What is cheap is checked when the file is opened, the rest by kdump_verify(),
 * which reads the table of descriptors once.
 */
#include "kdump_source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum { PROOF_DESCS = 4096, PROOF_CHUNK = 65536, PROOF_RUN = 128 };

/* Bytes of page data */
struct kdump_extent {
	uint64_t start, end;
};

struct kdump_extents {
	struct kdump_extent *list;
	size_t num;
};

static void kdump_extents_cleanup(struct kdump_extents *x)
{
	free(x->list);
}

struct gdump_error *kdump_check_inside(const struct kdump_source *k, const unsigned char *bits,
				       uint64_t first, uint64_t num)
{
	enum { WORDS = 64 };            /* at once, for vector code */
	const unsigned char *there = k->bitmap + first / 8;
	const uint64_t len = div_up(num, 8);
	uint64_t i = 0, bad = 0;

	for (; !bad && i + 8 * WORDS <= len; i += 8 * WORDS) {
		for (uint64_t j = i, a, b = 0; j < i + 8 * WORDS; j += 8) {
			memcpy(&a, there + j, 8);
			if (bits)
				memcpy(&b, bits + j, 8);
			bad |= a & ~b;
		}
	}
	i -= bad ? 8 * WORDS : 0;
	while (i < len && !(there[i] & ~(bits ? bits[i] : 0)))
		i++;
	if (i == len)
		return NULL;
	return error_new(GDUMP_ERR_CORRUPT,
			 "pages 0x%" PRIx64 " to 0x%" PRIx64 " are in bitmap 2, but not all of them are in this one",
			 first + 8 * i, first + 8 * i + 7);
}

/* Fail if a bit of the bitmap at @off is set from max_mapnr on. */
static struct gdump_error *kdump_check_top_of(const struct kdump_source *k, uint64_t off)
{
	enum { STEP = 64 };             /* of is_zero() */
	const uint64_t top = k->max_mapnr / 8, size = k->layout.bitmap_size;
	CLEANUP_FREE unsigned char *buf = malloc(PROOF_CHUNK);

	if (!buf)
		return error_nomem();
	for (uint64_t at = round_down(top, STEP), n; at < size; at += n) {
		struct gdump_error *err;

		n = round_down(bytes_hole(k->in, off + at, size - at), STEP);
		if (n)
			continue;
		n = MIN(size - at, PROOF_CHUNK);
		err = bytes_read(k->in, off + at, buf, (size_t)n);
		if (err)
			return err;
		if (at <= top) {
			memset(buf, 0, (size_t)(top - at));
			buf[top - at] &= (unsigned char)(0xff << k->max_mapnr % 8);
		}
		if (!is_zero(buf, (size_t)n))
			return error_new(GDUMP_ERR_CORRUPT,
					 "pages are set in it from max_mapnr 0x%" PRIx64 " on", k->max_mapnr);
	}
	return NULL;
}

struct gdump_error *kdump_check_top(const struct kdump_source *k)
{
	struct gdump_error *err;

	if (k->max_mapnr / 8 >= k->layout.bitmap_size)
		return NULL;
	err = kdump_check_top_of(k, k->layout.bitmap1);
	if (err)
		return error_prefix(err, "kdump bitmap 1");
	return error_prefix(kdump_check_top_of(k, k->layout.bitmap2), "kdump bitmap 2");
}

/* Whether page data begins with a page of zeros, which pages may share. */
static bool kdump_begins_with_zeros(const struct kdump_source *k, const struct kdump_part *part)
{
	const uint32_t bs = k->header.block_size;
	CLEANUP_FREE unsigned char *page = malloc(bs);
	CLEANUP_ERROR struct gdump_error *err = NULL;

	if (!page || !range_fits(k->layout.data, bs, part->in->size))
		return false;
	err = bytes_read(part->in, k->layout.data, page, bs);
	return !err && is_zero(page, bs);
}

static bool kdump_shares_zeros(const struct kdump_source *k, const struct kdump_desc *d)
{
	return d->off == k->layout.data && !d->flags && d->size == k->header.block_size;
}

/* The lowest offset that a descriptor of @part has */
static struct gdump_error *kdump_first_data(const struct kdump_source *k,
					    const struct kdump_part *part, uint64_t *ret)
{
	CLEANUP_FREE struct kdump_desc *d = calloc(PROOF_DESCS, sizeof(*d));
	const uint64_t num = kdump_count_descs(k, part);

	*ret = UINT64_MAX;
	if (!d)
		return error_nomem();
	for (uint64_t i = 0, n; i < num && *ret != k->layout.data; i += n) {
		struct gdump_error *err;

		/* the first one usually suffices */
		n = i ? MIN(num - i, PROOF_DESCS) : 1;
		err = kdump_read_table(k, part, i, (size_t)n, d);
		if (err)
			return err;
		for (uint64_t j = 0; j < n; j++)
			*ret = MIN(*ret, d[j].off);
	}
	return NULL;
}

/* Whether page data that begins at @first is only aligned to a block: zeros are in front of it,
 * and a descriptor that the bits do not count would not be.
 */
static bool kdump_is_aligned(const struct kdump_source *k, const struct kdump_part *part,
			     uint64_t first)
{
	const uint32_t bs = k->header.block_size;
	CLEANUP_FREE unsigned char *gap = calloc(1, bs);
	CLEANUP_ERROR struct gdump_error *err = NULL;

	if (!gap || first < k->layout.data || first - k->layout.data >= bs || first % bs)
		return false;
	err = bytes_read(part->in, k->layout.data, gap, (size_t)(first - k->layout.data));
	return !err && is_zero(gap, bs);
}

static struct gdump_error *kdump_check_count_of(struct kdump_source *k,
						const struct kdump_part *part)
{
	const uint64_t num = kdump_count_descs(k, part);
	struct gdump_error *err;
	uint64_t first;

	if (k->source.image.incomplete || k->header.diskdump || kdump_begins_with_zeros(k, part))
		return NULL;
	if (!num && part->in->size <= k->layout.data) {
		/* every writer adds at least a page of zeros */
		k->source.image.incomplete |= k->num_parts == 1;
		return NULL;
	}
	if (!num && k->num_pages)
		return NULL;            /* an empty part */
	err = kdump_first_data(k, part, &first);
	if (err || first == k->layout.data || kdump_is_aligned(k, part, first))
		return err;
	return error_new(GDUMP_ERR_CORRUPT,
			 "kdump bitmap 2: it has %" PRIu64 " pages, but the page data does not begin at 0x%" PRIx64 ", behind as many descriptors",
			 k->num_pages, k->layout.data);
}

struct gdump_error *kdump_check_count(struct kdump_source *k)
{
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < k->num_parts; i++)
		err = kdump_check_count_of(k, &k->parts[i]);
	return err;
}

static struct gdump_error *kdump_extents_add(struct kdump_extents *x, uint64_t off, uint64_t len)
{
	if (x->num && x->list[x->num - 1].end == off) {
		x->list[x->num - 1].end += len;
		return NULL;
	}
	if (!ARRAY_GROW(x->list, x->num))
		return error_nomem();
	x->list[x->num++] = (struct kdump_extent){ off, off + len };
	return NULL;
}

/* The data of all pages of @part: in a file that was written in order it is one extent. */
static struct gdump_error *kdump_find_extents(const struct kdump_source *k,
					      const struct kdump_part *part,
					      struct kdump_extents *x)
{
	CLEANUP_FREE struct kdump_desc *d = calloc(PROOF_DESCS, sizeof(*d));
	const bool zeros = kdump_begins_with_zeros(k, part);
	const uint64_t num = kdump_count_descs(k, part);
	struct gdump_error *err = d ? NULL : error_nomem();

	if (!err && zeros)
		err = kdump_extents_add(x, k->layout.data, k->header.block_size);
	for (uint64_t i = 0, n; !err && i < num; i += n) {
		n = MIN(num - i, PROOF_DESCS);
		err = kdump_read_table(k, part, i, (size_t)n, d);
		for (uint64_t j = 0; !err && j < n; j++) {
			/* one that is broken is found when its page is read */
			if (!kdump_is_lost(part, &d[j]) && !(zeros && kdump_shares_zeros(k, &d[j])))
				err = kdump_extents_add(x, d[j].off, d[j].size);
		}
	}
	return err;
}

static int kdump_extent_by_start(const void *a, const void *b)
{
	const struct kdump_extent *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* Add the memory of block @pfn. */
static bool kdump_affect(const struct kdump_source *k, uint64_t pfn, struct damage *to)
{
	const uint64_t bs = k->header.block_size;

	return spans_add(&to->memory, pfn * bs, bs);
}

/* Whether a block depends on the @broken bytes: its descriptor is the @index-th of the table. */
static bool kdump_is_affected(const struct kdump_source *k, const struct kdump_part *part,
			      uint64_t index, const struct kdump_desc *d, const struct spans *broken)
{
	if (spans_touch(broken, k->layout.desc + index * KDUMP_DESC_SIZE, KDUMP_DESC_SIZE))
		return true;
	/* the page of zeros is known to be zero */
	return !kdump_is_shared_zero(k, part, d) && spans_touch(broken, d->off, d->size);
}

/* Add the memory of the @num blocks, next to each other, whose descriptors begin at @index and
 * that depend on @broken bytes.
 */
static struct gdump_error *kdump_affect_run(const struct kdump_source *k,
					    const struct kdump_part *part, uint64_t pfn, size_t num,
					    uint64_t index, const struct spans *broken,
					    struct damage *to)
{
	struct kdump_desc d[PROOF_RUN];
	struct gdump_error *err = kdump_read_table(k, part, index, num, d);

	for (size_t i = 0; !err && i < num; i++) {
		if (kdump_is_affected(k, part, index + i, &d[i], broken) &&
		    !kdump_affect(k, pfn + i, to))
			err = error_nomem();
	}
	return err;
}

static struct gdump_error *kdump_affect_part(const struct kdump_source *k,
					     const struct kdump_part *part,
					     const struct spans *broken, struct damage *to)
{
	const uint64_t end = MIN(part->end, k->max_mapnr);
	struct gdump_error *err = NULL;
	uint64_t index = 0;

	if (broken->num && broken->list[0].start < k->layout.desc)
		to->tables = true;
	for (uint64_t pfn = part->start, n; !err && pfn < end; pfn += n) {
		n = kdump_count_absent(k, pfn, end - pfn);
		if (n)
			continue;
		n = kdump_count_there(k, pfn, (size_t)MIN(end - pfn, PROOF_RUN));
		err = kdump_affect_run(k, part, pfn, (size_t)n, index, broken, to);
		index += n;
	}
	return err;
}

struct gdump_error *kdump_affected(struct source *s, const struct bytes *file,
				   const struct spans *broken, struct damage *to)
{
	const struct kdump_source *k = (const struct kdump_source *)s;
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < k->num_parts; i++) {
		if (k->parts[i].in == file)
			err = kdump_affect_part(k, &k->parts[i], broken, to);
	}
	return err;
}

/* The bytes that several pages have, or if there are none, an error if no page has some */
static struct gdump_error *kdump_find_shared(const struct kdump_extents *x, struct spans *shared)
{
	struct gdump_error *err = NULL;
	uint64_t end = x->num ? x->list[0].end : 0;

	for (size_t i = 1; i < x->num; i++) {
		const struct kdump_extent *e = &x->list[i];

		if (e->start < end && !spans_add(shared, e->start, MIN(e->end, end) - e->start))
			return error_nomem();
		if (e->start > end && !err)
			err = error_new(GDUMP_ERR_CORRUPT,
					"kdump descriptors: no page has the data at offset 0x%" PRIx64 " to 0x%" PRIx64,
					end, e->start);
		end = MAX(end, e->end);
	}
	if (!shared->num)
		return err;
	gdump_error_destroy(err);
	spans_sort(shared);
	return NULL;
}

/* Fail unless each byte of page data belongs to one page. */
static struct gdump_error *kdump_verify_part(const struct kdump_source *k,
					     const struct kdump_part *part, struct damage *to)
{
	__attribute__((__cleanup__(kdump_extents_cleanup))) struct kdump_extents x = { 0 };
	CLEANUP_SPANS struct spans shared = { 0 };
	struct gdump_error *err = kdump_find_extents(k, part, &x);

	if (x.num)
		qsort(x.list, x.num, sizeof(*x.list), kdump_extent_by_start);
	if (!err)
		err = kdump_find_shared(&x, &shared);
	if (err) {
		to->tables = true;
		return err;
	}
	if (!shared.num)
		return NULL;
	err = kdump_affect_part(k, part, &shared, to);
	return err ? err : error_new(GDUMP_ERR_CORRUPT,
				     "kdump descriptors: two pages have the same data at offset 0x%" PRIx64,
				     shared.list[0].start);
}

struct gdump_error *kdump_verify(struct source *s, struct damage *to)
{
	struct kdump_source *k = (struct kdump_source *)s;
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && !s->image.incomplete && i < k->num_parts; i++)
		err = kdump_verify_part(k, &k->parts[i], to);
	spans_sort(&to->memory);
	return err;
}
