/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * format/kdump_descs.c - which pages a kdump file has, and where
 *
 * A page's descriptor is found by counting the bits of bitmap 2 below it, with a
 * counter for each 4096 pages.
 */
#include "kdump_source.h"

#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum { RANK_PAGES = 4096 };

static uint64_t count_bits(const unsigned char *p, size_t len)
{
	uint64_t n = 0, word;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		n += (unsigned int)__builtin_popcountll(word);
	}
	while (len--)
		n += (unsigned int)__builtin_popcount(*p++);
	return n;
}

bool kdump_has(const struct kdump_source *k, uint64_t pfn)
{
	return pfn < k->max_mapnr && k->bitmap[pfn / 8] >> pfn % 8 & 1;
}

/* The place of @pfn's descriptor in their array. */
static uint64_t desc_index(const struct kdump_source *k, uint64_t pfn)
{
	const uint64_t group = pfn / RANK_PAGES * RANK_PAGES;
	uint64_t n = k->rank[pfn / RANK_PAGES] +
		     count_bits(k->bitmap + group / 8, (size_t)(pfn - group) / 8);

	if (pfn % 8)
		n += (unsigned int)__builtin_popcount(k->bitmap[pfn / 8] & ((1u << pfn % 8) - 1));
	return n;
}

struct gdump_error *kdump_page_error(struct gdump_error *err, uint64_t pfn)
{
	return error_prefix(err, "page 0x%llx", (unsigned long long)pfn);
}

const struct kdump_part *kdump_part_of(const struct kdump_source *k, uint64_t pfn)
{
	size_t i = 0;

	while (i + 1 < k->num_parts && pfn >= k->parts[i].end)
		i++;
	return &k->parts[i];
}

/* How many pages from @pfn on, at most @max, are in the dump, and in one part. */
size_t kdump_count_there(const struct kdump_source *k, uint64_t pfn, size_t max)
{
	const uint64_t end = kdump_part_of(k, pfn)->end;
	size_t n = 0;

	while (n < max && pfn + n < end && kdump_has(k, pfn + n))
		n++;
	return n;
}

/* Descriptors of @num pages that are all in @part, from @pfn on. */
struct gdump_error *kdump_read_descs(struct kdump_source *k, const struct kdump_part *part,
				     uint64_t pfn, size_t num, struct kdump_desc *ret)
{
	unsigned char buf[64 * KDUMP_DESC_SIZE];
	uint64_t off = k->layout.desc + (desc_index(k, pfn) - part->rank) * KDUMP_DESC_SIZE;

	for (size_t i = 0, n; i < num; i += n, off += n * KDUMP_DESC_SIZE) {
		struct gdump_error *err;
		struct cursor c;

		n = MIN(num - i, 64);
		err = bytes_read(part->in, off, buf, n * KDUMP_DESC_SIZE);
		if (err)
			return kdump_page_error(error_prefix(err, "descriptor"), pfn + i);
		c = cursor_init(buf, sizeof(buf), k->header.big, true);
		for (size_t j = 0; j < n; j++) {
			ret[i + j].off = get_u64(&c);
			ret[i + j].size = get_u32(&c);
			ret[i + j].flags = get_u32(&c);
			get_u64(&c);
		}
	}
	return NULL;
}

static struct gdump_error *check_desc(const struct kdump_source *k,
				      const struct kdump_part *part, const struct kdump_desc *d)
{
	const uint32_t bs = k->header.block_size, packed = d->flags & KDUMP_PACKED_MASK;

	if (!d->off)
		return error_new(GDUMP_ERR_NODATA, "was lost when the dump was cut short");
	if (d->flags & ~(uint32_t)KDUMP_PACKED_MASK || (packed && !is_power_of_2(packed)))
		return error_new(GDUMP_ERR_CORRUPT, "descriptor: unknown flags 0x%x", d->flags);
	if (d->size > bs || (!packed && d->size != bs) || !d->size)
		return error_new(GDUMP_ERR_CORRUPT, "descriptor: %u bytes for a page of %u",
				 d->size, bs);
	if (d->off < k->layout.data || !range_fits(d->off, d->size, part->in->size))
		return error_new(GDUMP_ERR_CORRUPT,
				 "descriptor: %u bytes at offset 0x%llx are outside of the page data",
				 d->size, (unsigned long long)d->off);
	return NULL;
}

bool kdump_is_shared_zero(const struct kdump_source *k, const struct kdump_part *part,
			  const struct kdump_desc *d)
{
	return part->shared_zero && d->off == k->layout.data && !d->flags;
}

/* Descriptors of @num pages that are all in one part, checked. */
struct gdump_error *kdump_good_descs(struct kdump_source *k, const struct kdump_part *part,
				     uint64_t pfn, size_t num, struct kdump_desc *ret)
{
	struct gdump_error *err = kdump_read_descs(k, part, pfn, num, ret);

	for (size_t i = 0; !err && i < num; i++)
		err = kdump_page_error(check_desc(k, part, &ret[i]), pfn + i);
	return err;
}

/* What is known of a part once bitmap 2 is. */
static void look_at_part(struct kdump_source *k, struct kdump_part *part)
{
	const uint32_t bs = k->header.block_size;
	CLEANUP_FREE unsigned char *page = malloc(bs);
	CLEANUP_ERROR struct gdump_error *err = NULL;

	part->rank = part->start < k->max_mapnr ? desc_index(k, part->start) : k->num_pages;
	if (!range_fits(k->layout.data, 0, part->in->size) || part->in->truncated)
		k->source.image.incomplete = true;
	if (!page || !(k->sub.dump_level & GDUMP_DROP_ZERO))
		return;
	err = bytes_read(part->in, k->layout.data, page, bs);
	part->shared_zero = !err && is_zero(page, bs);
}

struct gdump_error *kdump_read_bitmap(struct kdump_source *k)
{
	const uint64_t num_ranks = div_up(k->max_mapnr, RANK_PAGES);
	const size_t size = (size_t)num_ranks * RANK_PAGES / 8;
	const size_t len = (size_t)div_up(k->max_mapnr, 8);
	struct gdump_error *err;

	k->bitmap = calloc(1, size);
	k->rank = calloc(num_ranks, sizeof(*k->rank));
	if (!k->bitmap || !k->rank)
		return error_nomem();
	err = bytes_read(k->in, k->layout.bitmap2, k->bitmap, len);
	if (err)
		return error_prefix(err, "kdump bitmap 2");
	if (k->max_mapnr % 8)
		k->bitmap[len - 1] &= (unsigned char)((1 << k->max_mapnr % 8) - 1);
	for (uint64_t i = 0; i < num_ranks; i++) {
		k->rank[i] = k->num_pages;
		k->num_pages += count_bits(k->bitmap + i * (RANK_PAGES / 8), RANK_PAGES / 8);
	}
	k->layout = kdump_layout(&k->header, k->max_mapnr, k->num_pages);
	for (size_t i = 0; i < k->num_parts; i++)
		look_at_part(k, &k->parts[i]);
	return NULL;
}

/* Pages whose descriptors say that they were lost, or are lost themselves. */
uint64_t kdump_count_lost(struct kdump_source *k)
{
	enum { DESCS = 4096 };
	CLEANUP_FREE unsigned char *buf = malloc(DESCS * KDUMP_DESC_SIZE);
	uint64_t lost = 0, n;

	for (uint64_t i = 0; buf && i < k->num_pages; i += n) {
		struct cursor c = cursor_init(buf, DESCS * KDUMP_DESC_SIZE, k->header.big, true);
		struct gdump_error *err;

		n = MIN(k->num_pages - i, DESCS);
		err = bytes_read(k->in, k->layout.desc + i * KDUMP_DESC_SIZE, buf,
				 (size_t)n * KDUMP_DESC_SIZE);
		if (err) {
			gdump_error_destroy(err);
			return lost + (k->num_pages - i);
		}
		for (uint64_t j = 0; j < n; j++) {
			lost += !get_u64(&c);
			cursor_take(&c, KDUMP_DESC_SIZE - 8);
		}
	}
	return lost;
}
