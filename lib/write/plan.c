/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * plan.c - which pages to keep: a bit for each
 */
#include "plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bisect.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum {
	SCAN_PAGES = 4096,
	RANK_PAGES = 4096,
	BLOCK_PAGES = 32768,            /* of the plan: 4 KiB of its bits       */
};

/* The extents of all pages that are at least partly in a range */
static struct gdump_error *plan_create_extents(struct gdump_plan *plan, const struct image *image)
{
	const uint32_t page_size = plan->page_size;
	struct extent *last = NULL;

	plan->extents = calloc(image->num_ranges + 1, sizeof(*plan->extents));
	if (!plan->extents)
		return error_nomem();
	for (size_t i = 0; i < image->num_ranges; i++) {
		const struct gdump_range *r = &image->ranges[i];
		uint64_t pfn = r->start / page_size;
		uint64_t end = (r->start + (r->size - 1)) / page_size + 1;

		if (last && pfn <= last->pfn + last->num) {
			last->num = end - last->pfn;
		} else {
			last = &plan->extents[plan->num_extents++];
			*last = (struct extent){ .pfn = pfn, .num = end - pfn };
		}
	}
	for (size_t i = 0; i < plan->num_extents; i++) {
		plan->extents[i].index = plan->num_pages;
		plan->num_pages += plan->extents[i].num;
	}
	return NULL;
}

/* Bits for all pages, none of them kept */
static struct gdump_error *plan_create_bits(struct gdump_plan *plan)
{
	plan->kept = 0;
	plan->shares_bits = false;
	/* parts of it that are never written, as the input has no such pages, take no memory */
	plan->keep = calloc((size_t)div_up(plan->num_pages, 64) + 1, sizeof(*plan->keep));
	plan->touched_blocks = calloc((size_t)div_up(plan->num_pages, 64 * BLOCK_PAGES) + 1,
			    sizeof(*plan->touched_blocks));
	return plan->keep && plan->touched_blocks ? NULL : error_nomem();
}

/* Keep pages [index, index + num), none of which was kept. */
static void plan_keep_pages(struct gdump_plan *plan, uint64_t index, uint64_t num)
{
	plan->kept += num;
	for (uint64_t n; num; index += n, num -= n) {
		n = MIN(num, 64 - index % 64);
		plan->keep[index / 64] |= ~(uint64_t)0 >> (64 - n) << index % 64;
		bit_set(plan->touched_blocks, index / BLOCK_PAGES);
	}
}

/* Keep all pages of an extent that the input has. */
static struct gdump_error *plan_keep_extent(struct gdump_plan *plan, const struct extent *x,
					    struct source *s)
{
	unsigned char state[SCAN_PAGES];
	struct gdump_error *err;
	enum page_state same;

	for (uint64_t i = 0, n; i < x->num; i += n) {
		n = source_gap(s, x->pfn + i, x->num - i, &same);
		if (n && same == PAGE_ABSENT)
			continue;
		if (n) {
			plan_keep_pages(plan, x->index + i, n);
			continue;
		}
		n = MIN(x->num - i, SCAN_PAGES);
		err = source_scan(s, x->pfn + i, (size_t)n, state, false);
		if (err)
			return err;
		for (size_t k = 0; k < n; k++) {
			if (state[k] != PAGE_ABSENT)
				plan_keep_pages(plan, x->index + i + k, 1);
		}
	}
	return NULL;
}

static struct gdump_error *plan_keep_all(struct gdump_plan *plan, struct source *s)
{
	struct gdump_error *err = NULL;

	for (size_t e = 0; !err && e < plan->num_extents; e++) {
		if (s->ops->has_absent)
			err = plan_keep_extent(plan, &plan->extents[e], s);
		else
			plan_keep_pages(plan, plan->extents[e].index, plan->extents[e].num);
	}
	plan->dropped[log2_u64(GDUMP_DROP_ABSENT)] = plan->num_pages - plan->kept;
	return err;
}

struct gdump_error *plan_create(struct source *s, struct gdump_plan **ret)
{
	CLEANUP_PLAN struct gdump_plan *plan = calloc(1, sizeof(*plan));
	struct gdump_error *err;

	if (!plan)
		return error_nomem();
	plan->source = s;
	plan->page_size = s->image.page_size;
	err = plan_create_extents(plan, &s->image);
	if (err)
		return err;
	err = plan_create_bits(plan);
	if (!err)
		err = plan_keep_all(plan, s);
	if (err)
		return err;
	debug_log(&s->debug, GDUMP_DEBUG_STEP,
		  "the input has %" PRIu64 " of %" PRIu64 " pages in %zu extents", plan->kept,
		  plan->num_pages, plan->num_extents);
	*ret = TAKE_PTR(plan);
	return NULL;
}

/* The next bit in [i, end) that is @set, or @end. */
static uint64_t bits_next(const uint64_t *bits, uint64_t i, uint64_t end, bool set)
{
	const uint64_t flip = set ? 0 : ~(uint64_t)0;
	uint64_t word;

	if (i >= end)
		return end;
	word = (bits[i / 64] ^ flip) & ~(uint64_t)0 << i % 64;
	i -= i % 64;
	while (!word) {
		i += 64;
		if (i >= end)
			return end;
		word = bits[i / 64] ^ flip;
	}
	i += (unsigned int)__builtin_ctzll(word);
	return MIN(i, end);
}

/* The next kept page in [i, end), or @end.  Blocks without any kept page are skipped: reading
 * bits that were never written takes time, and on some machines memory.
 */
static uint64_t plan_next_kept(const struct gdump_plan *plan, uint64_t i, uint64_t end)
{
	while (i < end && !bit_test(plan->keep, i)) {
		const uint64_t last = div_up(end, BLOCK_PAGES);
		const uint64_t block = bits_next(plan->touched_blocks, i / BLOCK_PAGES, last, true);

		i = MAX(i, block * BLOCK_PAGES);
		i = bits_next(plan->keep, i, MIN(end, (block + 1) * BLOCK_PAGES), true);
	}
	return MIN(i, end);
}

/* How many pages from @i on, before @end, can be handled in one step: those whose bits are in one
 * word of keep[], @mask; or, if @mask is 0, those of a block in which none ever was kept.
 */
static uint64_t plan_step(const struct gdump_plan *plan, uint64_t i, uint64_t end, uint64_t *mask)
{
	const bool used = bit_test(plan->touched_blocks, i / BLOCK_PAGES);
	const uint64_t n = MIN(end - i, used ? 64 - i % 64 : BLOCK_PAGES - i % BLOCK_PAGES);

	*mask = used ? ~(uint64_t)0 >> (64 - n) << i % 64 : 0;
	return n;
}

/* How many of pages [i, end) are kept. */
static uint64_t plan_count_kept(const struct gdump_plan *plan, uint64_t i, uint64_t end)
{
	uint64_t count = 0, mask;

	for (uint64_t n; i < end; i += n) {
		n = plan_step(plan, i, end, &mask);
		if (mask)
			count += (unsigned int)__builtin_popcountll(plan->keep[i / 64] & mask);
	}
	return count;
}

/* The pfn after the last page of RAM; without any RAM, after the last page of all. */
static uint64_t plan_ram_end(const struct gdump_plan *plan, const struct image *image)
{
	for (size_t i = image->num_ranges; i-- > 0;) {
		const struct gdump_range *r = &image->ranges[i];

		if (r->kind == GDUMP_RANGE_RAM)
			return (r->start + (r->size - 1)) / plan->page_size + 1;
	}
	return plan_end_pfn(plan);
}

/* The copy has its own extents and shares the bits. */
struct gdump_error *plan_share(const struct gdump_plan *plan, struct gdump_plan **ret)
{
	const size_t size = (plan->num_extents + 1) * sizeof(*plan->extents);
	CLEANUP_PLAN struct gdump_plan *copy = malloc(sizeof(*copy));

	if (!copy)
		return error_nomem();
	*copy = *plan;
	copy->shares_bits = true;
	copy->extents = malloc(size);
	if (!copy->extents)
		return error_nomem();
	memcpy(copy->extents, plan->extents, size);
	*ret = TAKE_PTR(copy);
	return NULL;
}

void plan_trim(struct gdump_plan *plan, const struct image *image)
{
	const uint64_t end = plan_ram_end(plan, image);
	struct extent *x;
	uint64_t cut;

	for (; plan->num_extents; plan->num_extents--) {
		x = &plan->extents[plan->num_extents - 1];
		cut = x->pfn + x->num > end ? MIN(x->pfn + x->num - end, x->num) : 0;
		x->num -= cut;
		plan->num_pages -= cut;
		plan->kept -= plan_count_kept(plan, x->index + x->num, x->index + x->num + cut);
		if (x->num)
			break;
	}
}

void gdump_plan_destroy(struct gdump_plan *plan)
{
	if (!plan)
		return;
	free(plan->extents);
	if (!plan->shares_bits) {
		free(plan->keep);
		free(plan->touched_blocks);
	}
	free(plan);
}

uint64_t plan_next(const struct gdump_plan *plan, struct plan_cursor *c)
{
	for (; c->extent < plan->num_extents; c->extent++, c->page = 0) {
		const struct extent *x = &plan->extents[c->extent];
		uint64_t i = plan_next_kept(plan, x->index + c->page, x->index + x->num);

		if (i < x->index + x->num) {
			c->page = i - x->index + 1;
			return x->pfn + (i - x->index);
		}
	}
	return UINT64_MAX;
}

struct gdump_error *plan_thin(const struct gdump_plan *plan, uint64_t step,
			      struct gdump_plan **ret)
{
	CLEANUP_PLAN struct gdump_plan *thin = NULL;
	struct gdump_error *err = plan_share(plan, &thin);
	struct plan_cursor c = { 0 };
	uint64_t n = 0;

	if (!err)
		err = plan_create_bits(thin);
	if (err)
		return err;
	while (plan_next(plan, &c) != UINT64_MAX) {
		if (n++ % step == 0)
			plan_keep_pages(thin, plan->extents[c.extent].index + c.page - 1, 1);
	}
	*ret = TAKE_PTR(thin);
	return NULL;
}

uint64_t plan_end_pfn(const struct gdump_plan *plan)
{
	const struct extent *x;

	if (!plan->num_extents)
		return 0;
	x = &plan->extents[plan->num_extents - 1];
	return x->pfn + x->num;
}

/* Set bits [from, to) of a kdump bitmap. */
static void bits_set(unsigned char *buf, uint64_t from, uint64_t to)
{
	for (; from < to && from % 8; from++)
		buf[from / 8] |= (unsigned char)(1 << from % 8);
	if (from < to)
		memset(buf + from / 8, 0xff, (size_t)((to - from) / 8));
	for (from = MAX(from, to & ~(uint64_t)7); from < to; from++)
		buf[from / 8] |= (unsigned char)(1 << from % 8);
}

/* The first extent that ends after @pfn, or the number of all extents */
static size_t plan_extent_from(const struct gdump_plan *plan, uint64_t pfn)
{
	return BISECT(plan->num_extents, i, plan->extents[i].pfn + plan->extents[i].num > pfn);
}

void plan_bitmap(const struct gdump_plan *plan, bool kept, uint64_t pfn,
		 unsigned char *buf, size_t len)
{
	const uint64_t end = pfn + 8 * (uint64_t)len;

	memset(buf, 0, len);
	for (size_t e = plan_extent_from(plan, pfn); e < plan->num_extents; e++) {
		const struct extent *x = &plan->extents[e];
		const uint64_t from = MAX(x->pfn, pfn), to = MIN(x->pfn + x->num, end);
		uint64_t i = x->index + (from - x->pfn), stop = i + (to - from), next;
		const uint64_t first = i - (from - pfn);

		if (from >= to)
			break;
		for (; i < stop; i = next) {
			i = kept ? plan_next_kept(plan, i, stop) : i;
			next = kept ? bits_next(plan->keep, i, stop, false) : stop;
			bits_set(buf, i - first, next - first);
		}
	}
}

/* The extent that holds @pfn, or NULL. */
static const struct extent *plan_extent_at(const struct gdump_plan *plan, uint64_t pfn)
{
	const size_t e = plan_extent_from(plan, pfn);

	return e < plan->num_extents && plan->extents[e].pfn <= pfn ? &plan->extents[e] : NULL;
}

bool plan_covers(const struct gdump_plan *plan, uint64_t pfn, uint64_t *from, uint64_t *to)
{
	const size_t e = plan_extent_from(plan, pfn);

	if (e == plan->num_extents)
		return false;
	*from = MAX(plan->extents[e].pfn, pfn);
	*to = plan->extents[e].pfn + plan->extents[e].num;
	return true;
}

/* Keep none of pages [i, end), and count those that were kept. */
static uint64_t plan_clear(struct gdump_plan *plan, uint64_t i, uint64_t end)
{
	uint64_t count = 0, mask;

	for (uint64_t n; i < end; i += n) {
		n = plan_step(plan, i, end, &mask);
		if (mask)
			count += (unsigned int)__builtin_popcountll(mask &
				__atomic_fetch_and(&plan->keep[i / 64], ~mask, __ATOMIC_RELAXED));
	}
	return count;
}

uint64_t plan_drop(struct gdump_plan *plan, uint64_t pfn, uint64_t num)
{
	uint64_t count = 0;

	for (size_t e = plan_extent_from(plan, pfn); e < plan->num_extents; e++) {
		const struct extent *x = &plan->extents[e];
		const uint64_t from = MAX(pfn, x->pfn), to = MIN(pfn + num, x->pfn + x->num);

		if (from >= to)
			break;
		count += plan_clear(plan, x->index + (from - x->pfn), x->index + (to - x->pfn));
	}
	return count;
}

/* Copy the bits of all blocks of @plan in which a page was ever kept. */
static void plan_copy_kept(const struct gdump_plan *plan, uint64_t *to, const uint64_t *from)
{
	const uint64_t num = div_up(plan->num_pages, 64), step = BLOCK_PAGES / 64;

	for (uint64_t i = 0; i < num; i += step) {
		if (bit_test(plan->touched_blocks, i / step))
			memcpy(to + i, from + i, (size_t)MIN(step, num - i) * sizeof(*to));
	}
}

uint64_t *plan_save(const struct gdump_plan *plan)
{
	uint64_t *saved = calloc((size_t)div_up(plan->num_pages, 64) + 1, sizeof(*saved));

	if (saved)
		plan_copy_kept(plan, saved, plan->keep);
	return saved;
}

void plan_restore(struct gdump_plan *plan, const uint64_t *saved)
{
	plan_copy_kept(plan, plan->keep, saved);
}

const char *gdump_plan_warning(const struct gdump_plan *plan)
{
	return plan->warning[0] ? plan->warning : NULL;
}

bool plan_index(const struct gdump_plan *plan, uint64_t pfn, uint64_t *index)
{
	const struct extent *x = plan_extent_at(plan, pfn);

	if (!x)
		return false;
	*index = x->index + (pfn - x->pfn);
	return bit_test(plan->keep, *index);
}

bool gdump_plan_keeps(const struct gdump_plan *plan, uint64_t pfn)
{
	uint64_t index;

	return plan_index(plan, pfn, &index);
}

uint64_t plan_run(const struct gdump_plan *plan, uint64_t pfn, bool *kept)
{
	const struct extent *x = plan_extent_at(plan, pfn);
	uint64_t i = x->index + (pfn - x->pfn);

	*kept = bit_test(plan->keep, i);
	return (*kept ? bits_next(plan->keep, i, x->index + x->num, false)
		      : plan_next_kept(plan, i, x->index + x->num)) - i;
}

uint64_t gdump_plan_kept(const struct gdump_plan *plan)
{
	return plan->kept;
}

uint64_t gdump_plan_dropped(const struct gdump_plan *plan, enum gdump_drop why)
{
	if (!is_power_of_2(why) || log2_u64(why) >= ARRAY_SIZE(plan->dropped))
		return 0;
	return plan->dropped[log2_u64(why)];
}

struct gdump_error *plan_rank_init(struct plan_rank *r, const struct gdump_plan *plan)
{
	const uint64_t num = plan->num_pages / RANK_PAGES + 1;

	r->plan = plan;
	r->counts = calloc(num, sizeof(*r->counts));
	if (!r->counts)
		return error_nomem();
	for (uint64_t i = 1; i < num; i++)
		r->counts[i] = r->counts[i - 1] +
			       plan_count_kept(plan, (i - 1) * RANK_PAGES, i * RANK_PAGES);
	return NULL;
}

void plan_rank_deinit(struct plan_rank *r)
{
	free(r->counts);
	r->counts = NULL;
}

uint64_t plan_rank(const struct plan_rank *r, uint64_t pfn)
{
	const struct extent *x = plan_extent_at(r->plan, pfn);
	const uint64_t i = x->index + (pfn - x->pfn);

	return r->counts[i / RANK_PAGES] + plan_count_kept(r->plan, i / RANK_PAGES * RANK_PAGES, i);
}
