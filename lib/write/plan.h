/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * plan.h - which pages to keep
 *
 * One bit for each page that lies in a range.  Pages are counted through all
 * ranges, so holes between ranges cost nothing.
 */
#pragma once

#include "../machine/source.h"

/* Pages [pfn, pfn + num) of memory; the first has number @index in the plan. */
struct extent {
	uint64_t pfn, num, index;
};

struct gdump_plan {
	const struct source *source;    /* that it was created for; not dereferenced */
	uint32_t page_size;
	unsigned int drop;              /* what was left out: enum gdump_drop   */
	struct extent *extents;         /* ascending, not adjacent              */
	size_t num_extents;
	uint64_t *keep;                 /* by page number in the plan           */
	uint64_t *touched_blocks;       /* a bit for each 32768 pages: some of them
					 * were kept at some time; elsewhere keep[]
					 * was never written, and has no memory */
	bool shares_bits;               /* keep and touched_blocks are another plan's */
	uint64_t num_pages;             /* of all extents                       */
	uint64_t kept;
	uint64_t dropped[8];            /* by bit of enum gdump_drop            */
	uint64_t inconsistent;          /* page structures that made no sense   */
	bool survey;                    /* not to be written: the guest may run */
	char warning[200];              /* why less was filtered, or ""         */
};

/* All pages that @s has; kernel/filter.h leaves some out. */
MUST_CHECK struct gdump_error *plan_create(struct source *s, struct gdump_plan **ret);

/* The same plan without device memory above the last RAM.  It borrows from
 * @plan, which must outlive it.
 */
MUST_CHECK struct gdump_error *plan_trim(const struct gdump_plan *plan, const struct image *image,
					 struct gdump_plan **ret);

/* The same plan with only one in @step of the pages that it keeps. */
MUST_CHECK struct gdump_error *plan_thin(const struct gdump_plan *plan, uint64_t step,
					 struct gdump_plan **ret);

/* How many kept pages are below a page, for many of them: a table of counts. */
struct plan_rank {
	const struct gdump_plan *plan;
	uint64_t *counts;               /* below each RANK_PAGES of the plan    */
};

MUST_CHECK struct gdump_error *plan_rank_init(struct plan_rank *r, const struct gdump_plan *plan);
void plan_rank_deinit(struct plan_rank *r);
/* Of @pfn, which is kept. */
uint64_t plan_rank(const struct plan_rank *r, uint64_t pfn);

/* A place in a plan; begin with all zero. */
struct plan_cursor {
	size_t extent;
	uint64_t page;                  /* in that extent                       */
};

/* The next kept page at or after @c, which moves behind it; UINT64_MAX: none. */
uint64_t plan_next(const struct gdump_plan *plan, struct plan_cursor *c);

/* Whether page @pfn is kept, and then its number among all pages of the plan. */
bool plan_index(const struct gdump_plan *plan, uint64_t pfn, uint64_t *index);

/* Leave out [pfn, pfn + num) and say how many of these pages were kept so far.
 * Safe from many threads; the counts of @plan are the caller's business.
 */
uint64_t plan_drop(struct gdump_plan *plan, uint64_t pfn, uint64_t num);

/* Which pages are kept, to be put back; free() it.  NULL: no memory */
uint64_t *plan_save(const struct gdump_plan *plan);
void plan_restore(struct gdump_plan *plan, const uint64_t *saved);

/* The first pages [*@from, *@to) at or behind @pfn that lie in an extent; false: none do. */
bool plan_covers(const struct gdump_plan *plan, uint64_t pfn, uint64_t *from, uint64_t *to);

/* How many pages from @pfn on, which lies in an extent, are all kept or all left
 * out; @kept says which.
 */
uint64_t plan_run(const struct gdump_plan *plan, uint64_t pfn, bool *kept);

/* The pfn behind the last page of all. */
uint64_t plan_end_pfn(const struct gdump_plan *plan);

/* Bits of a kdump bitmap for pfns [pfn, pfn + 8 * len): 1 for each page of the
 * plan, or with @kept only for those that are kept.
 */
void plan_bitmap(const struct gdump_plan *plan, bool kept, uint64_t pfn,
		 unsigned char *buf, size_t len);

static inline void plan_cleanup(struct gdump_plan **plan)
{
	gdump_plan_destroy(*plan);
}
#define CLEANUP_PLAN __attribute__((__cleanup__(plan_cleanup)))
