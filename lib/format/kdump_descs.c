/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/kdump_descs.c - which pages a kdump file has, and where
 *
 * Descriptors exist only for the pages whose bit in bitmap 2 is set.  So the index of a
 * page's descriptor is the number of bits that are set below its own.  ->rank[] has that
 * number for every 4096th page, and the bits from there on are counted.
 */
#include "kdump_source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/large.h"

enum {
	RANK_PAGES = 4096,
	READ_DESCS = 128,               /* a batch of the pipeline              */
	MAX_TAIL = 4096,                /* limit on steps of READ_DESCS back over shared
					 * zero pages at the end of a dump      */
};

/* Count the bits of @num words, at most 31.  Within each word, the bits of each byte are
 * counted side by side: by pairs, then by fours, then by eights, which makes at most 8 per
 * byte.  These bytes of counts are added up over all words (31 * 8 fits in a byte), and only
 * at the end are the eight bytes of the sum added up.  This needs no popcount instruction,
 * which not all CPUs have, and compilers turn the loop into vector code.
 */
static uint64_t kdump_count_words(const unsigned char *p, size_t num)
{
	const uint64_t ones = 0x5555555555555555, twos = 0x3333333333333333,
		       fours = 0x0f0f0f0f0f0f0f0f, bytes = 0x00ff00ff00ff00ff,
		       shorts = 0x0001000100010001;
	uint64_t sum = 0, word;

	for (size_t i = 0; i < num; i++) {
		memcpy(&word, p + 8 * i, 8);
		word -= word >> 1 & ones;
		word = (word & twos) + (word >> 2 & twos);
		sum += (word + (word >> 4)) & fours;
	}
	return ((sum & bytes) + (sum >> 8 & bytes)) * shorts >> 48;
}

static uint64_t kdump_count_bits(const unsigned char *p, size_t len)
{
	enum { WORDS = 16 };
	uint64_t n = 0;

	for (; len >= 8 * WORDS; p += 8 * WORDS, len -= 8 * WORDS)
		n += kdump_count_words(p, WORDS);
	n += kdump_count_words(p, len / 8);
	for (p += len / 8 * 8, len %= 8; len--; p++)
		n += (unsigned int)__builtin_popcount(*p);
	return n;
}

bool kdump_has(const struct kdump_source *k, uint64_t pfn)
{
	return pfn < k->max_mapnr && k->bitmap[pfn / 8] >> pfn % 8 & 1;
}

/* The index of @pfn's descriptor in the table, over all parts */
static uint64_t kdump_desc_index(const struct kdump_source *k, uint64_t pfn)
{
	const uint64_t group = pfn / RANK_PAGES * RANK_PAGES;
	uint64_t n = k->rank[pfn / RANK_PAGES] +
		     kdump_count_bits(k->bitmap + group / 8, (size_t)(pfn - group) / 8);

	if (pfn % 8)
		n += (unsigned int)__builtin_popcount(k->bitmap[pfn / 8] & ((1u << pfn % 8) - 1));
	return n;
}

struct gdump_error *kdump_page_error(struct gdump_error *err, uint64_t pfn)
{
	return error_prefix(err, "page 0x%" PRIx64, pfn);
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

uint64_t kdump_count_absent(const struct kdump_source *k, uint64_t pfn, uint64_t max)
{
	uint64_t i = pfn, word;

	while (i - pfn < max && !kdump_has(k, i)) {
		i++;
		/* in steps of 64 while none is */
		while (i % 64 == 0 && range_fits(i, 64, k->max_mapnr) && i - pfn < max) {
			memcpy(&word, k->bitmap + i / 8, sizeof(word));
			if (word)
				break;
			i += 64;
		}
	}
	return MIN(i - pfn, max);
}

struct gdump_error *kdump_read_table(const struct kdump_source *k, const struct kdump_part *part,
				     uint64_t index, size_t num, struct kdump_desc *ret)
{
	unsigned char buf[READ_DESCS * KDUMP_DESC_SIZE];

	for (size_t i = 0, n; i < num; i += n) {
		struct gdump_error *err;
		struct cursor c;

		n = MIN(num - i, READ_DESCS);
		err = bytes_read(part->in, k->layout.desc + (index + i) * KDUMP_DESC_SIZE, buf,
				 n * KDUMP_DESC_SIZE);
		if (err)
			return err;
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

static struct gdump_error *kdump_lost_page(void)
{
	return error_new(GDUMP_ERR_NODATA, "its data was lost when the dump was cut short");
}

/* How many descriptors fit in the file, which may be cut short */
static uint64_t kdump_table_size(const struct kdump_source *k, const struct kdump_part *part)
{
	const uint64_t begin = MIN(k->layout.desc, part->in->size);

	return (part->in->size - begin) / KDUMP_DESC_SIZE;
}

struct gdump_error *kdump_read_descs(struct kdump_source *k, const struct kdump_part *part,
				     uint64_t pfn, size_t num, struct kdump_desc *ret)
{
	const uint64_t index = kdump_desc_index(k, pfn) - part->rank;
	struct gdump_error *err;

	if (k->source.image.incomplete && index + num > kdump_table_size(k, part))
		return kdump_page_error(kdump_lost_page(), MAX(pfn, pfn + num - 1));
	err = kdump_read_table(k, part, index, num, ret);
	return kdump_page_error(error_prefix(err, "descriptor"), pfn);
}

bool kdump_is_lost(const struct kdump_part *part, const struct kdump_desc *d)
{
	return !d->off || !range_fits(d->off, d->size, part->in->size);
}

static struct gdump_error *kdump_check_desc(const struct kdump_source *k,
					    const struct kdump_part *part,
					    const struct kdump_desc *d)
{
	const uint32_t bs = k->header.block_size;

	if (!d->off)
		return kdump_lost_page();
	if (d->flags & ~k->codec_flags || (d->flags && !is_power_of_2(d->flags)))
		return error_new(GDUMP_ERR_CORRUPT, "descriptor: unknown flags 0x%x", d->flags);
	if (d->size > bs || (!d->flags && d->size != bs) || !d->size)
		return error_new(GDUMP_ERR_CORRUPT, "descriptor: %u bytes for a page of %u bytes",
				 d->size, bs);
	if (k->source.image.incomplete && kdump_is_lost(part, d))
		return kdump_lost_page();
	if (d->off < k->layout.data || kdump_is_lost(part, d))
		return error_new(GDUMP_ERR_CORRUPT,
				 "descriptor: %u bytes at offset 0x%" PRIx64 " are outside of the page data",
				 d->size, d->off);
	return NULL;
}

bool kdump_is_shared_zero(const struct kdump_source *k, const struct kdump_part *part,
			  const struct kdump_desc *d)
{
	return part->shared_zero && d->off == k->layout.data && !d->flags &&
	       d->size == k->header.block_size;
}

struct gdump_error *kdump_good_descs(struct kdump_source *k, const struct kdump_part *part,
				     uint64_t pfn, size_t num, struct kdump_desc *ret)
{
	struct gdump_error *err = kdump_read_descs(k, part, pfn, num, ret);

	for (size_t i = 0; !err && i < num; i++)
		err = kdump_page_error(kdump_check_desc(k, part, &ret[i]), pfn + i);
	return err;
}

uint64_t kdump_count_descs(const struct kdump_source *k, const struct kdump_part *part)
{
	return (part->end < k->max_mapnr ? kdump_desc_index(k, part->end) : k->num_pages) -
	       part->rank;
}

/* The descriptors of the last two pages of a part that have data of their own; returns how
 * many there are.
 */
static size_t kdump_last_descs(const struct kdump_source *k, const struct kdump_part *part,
			       struct kdump_desc ret[2])
{
	struct kdump_desc d[READ_DESCS];
	uint64_t left = kdump_count_descs(k, part);
	size_t num = 0;

	for (size_t i = 0; num < 2 && left && i < MAX_TAIL; i++) {
		size_t n = (size_t)MIN(left, READ_DESCS);
		CLEANUP_ERROR struct gdump_error *err = kdump_read_table(k, part, left - n, n, d);

		if (err)
			break;
		left -= n;
		while (num < 2 && n--) {
			if (d[n].off && !kdump_is_shared_zero(k, part, &d[n]))
				ret[num++] = d[n];
		}
	}
	return num;
}

/* Whether the file was cut short.  Writers store pages in ascending order: if the data of the
 * last page lies past the end of the file, right after that of the page before it, the end
 * of the file is missing.  If it lies elsewhere, only that descriptor is corrupt.
 */
static bool kdump_is_cut(const struct kdump_source *k, const struct kdump_part *part)
{
	struct kdump_desc d[2];
	const size_t num = kdump_last_descs(k, part, d);

	if (kdump_table_size(k, part) < kdump_count_descs(k, part) || part->in->truncated)
		return true;
	return num == 2 && d[0].size <= k->header.block_size && kdump_is_lost(part, &d[0]) &&
	       d[0].off == d[1].off + d[1].size;
}

/* Fill in the members of a part that depend on bitmap 2. */
static void kdump_look_at_part(struct kdump_source *k, struct kdump_part *part)
{
	const uint32_t bs = k->header.block_size;
	CLEANUP_FREE unsigned char *page = malloc(bs);
	CLEANUP_ERROR struct gdump_error *err = NULL;

	part->rank = part->start < k->max_mapnr ? kdump_desc_index(k, part->start) : k->num_pages;
	if (page && k->sub.dump_level & GDUMP_DROP_ZERO) {
		err = bytes_read(part->in, k->layout.data, page, bs);
		part->shared_zero = !err && is_zero(page, bs);
	}
	k->source.image.incomplete |= kdump_is_cut(k, part);
}

struct gdump_error *kdump_read_bitmap(struct kdump_source *k)
{
	const uint64_t num_ranks = div_up(k->max_mapnr, RANK_PAGES);
	const size_t size = (size_t)num_ranks * RANK_PAGES / 8;
	const size_t len = (size_t)div_up(k->max_mapnr, 8);
	struct gdump_error *err;

	k->bitmap = large_alloc(size);
	k->rank = calloc(num_ranks, sizeof(*k->rank));
	if (!k->bitmap || !k->rank)
		return error_nomem();
	memset(k->bitmap + len, 0, size - len);
	err = bytes_read(k->in, k->layout.bitmap2, k->bitmap, len);
	if (err)
		return error_prefix(err, "kdump bitmap 2");
	if (k->max_mapnr % 8)
		k->bitmap[len - 1] &= (unsigned char)((1 << k->max_mapnr % 8) - 1);
	for (uint64_t i = 0; i < num_ranks; i++) {
		k->rank[i] = k->num_pages;
		k->num_pages += kdump_count_bits(k->bitmap + i * (RANK_PAGES / 8), RANK_PAGES / 8);
	}
	k->layout = kdump_layout(&k->header, k->max_mapnr, k->num_pages);
	for (size_t i = 0; i < k->num_parts; i++)
		kdump_look_at_part(k, &k->parts[i]);
	return kdump_check_count(k);
}

static uint64_t kdump_count_lost_of(const struct kdump_source *k, const struct kdump_part *part)
{
	const uint64_t all = kdump_count_descs(k, part);
	const uint64_t there = MIN(all, kdump_table_size(k, part));
	struct kdump_desc d[READ_DESCS];
	uint64_t num = all - there;

	for (uint64_t i = 0, n; i < there; i += n) {
		CLEANUP_ERROR struct gdump_error *err = NULL;

		n = MIN(there - i, READ_DESCS);
		err = kdump_read_table(k, part, i, (size_t)n, d);
		for (uint64_t j = 0; j < n; j++)
			num += err || kdump_is_lost(part, &d[j]);
	}
	return num;
}

uint64_t kdump_count_lost(const struct kdump_source *k)
{
	uint64_t num = 0;

	for (size_t i = 0; i < k->num_parts; i++)
		num += kdump_count_lost_of(k, &k->parts[i]);
	return num;
}
