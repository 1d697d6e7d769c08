/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * plan.h - which pages to keep
 *
 * One bit for each page in a range.  The pages of all ranges are numbered
 * consecutively, so holes between ranges take no space.
 */
#pragma once

#include "../machine/source.h"

/* Pages [pfn, pfn + num) of memory; the first has number @index in the plan. */
struct extent {
	uint64_t pfn, num, index;
};

struct gdump_plan {
	const struct source *source;    /* for which it was created; not dereferenced */
	uint32_t page_size;
	unsigned int drop;              /* what was omitted: enum gdump_drop    */
	struct extent *extents;         /* ascending, not adjacent              */
	size_t num_extents;
	uint64_t *keep;                 /* a bit for each page, by its number in the plan */
	uint64_t *touched_blocks;       /* a bit for each 32768 pages: some of them
					 * were kept at some time; elsewhere keep[]
					 * was never written, and has no memory */
	bool shares_bits;               /* keep and touched_blocks are another plan's */
	uint64_t num_pages;             /* of all extents                       */
	uint64_t kept;
	uint64_t dropped[8];            /* by bit of enum gdump_drop            */
	uint64_t inconsistent;          /* page structures that contradict themselves */
	bool survey;                    /* for statistics only, as the guest may run */
	char warning[200];              /* why less was filtered, or ""         */
};

/* A plan of all pages that @s has; see kernel/filter.h for omitting some. */
MUST_CHECK struct gdump_error *plan_create(struct source *s, struct gdump_plan **ret);

/* A copy of @plan, which borrows from it and must not outlive it. */
MUST_CHECK struct gdump_error *plan_share(const struct gdump_plan *plan, struct gdump_plan **ret);
/* Remove device memory above the last RAM from @plan. */
void plan_trim(struct gdump_plan *plan, const struct image *image);

/* A copy of @plan that keeps only every @step-th page that @plan keeps. */
MUST_CHECK struct gdump_error *plan_thin(const struct gdump_plan *plan, uint64_t step,
					 struct gdump_plan **ret);

/* A table to find quickly how many kept pages lie below a page */
struct plan_rank {
	const struct gdump_plan *plan;
	uint64_t *counts;               /* kept pages below every RANK_PAGES-th page of the plan */
};

MUST_CHECK struct gdump_error *plan_rank_init(struct plan_rank *r, const struct gdump_plan *plan);
void plan_rank_deinit(struct plan_rank *r);
/* The number of kept pages below @pfn, which is kept */
uint64_t plan_rank(const struct plan_rank *r, uint64_t pfn);

/* A position in a plan; all zero at the beginning */
struct plan_cursor {
	size_t extent;
	uint64_t page;                  /* number in that extent                */
};

/* The pfn of the next kept page at or after @c, which advances past it; UINT64_MAX: none. */
uint64_t plan_next(const struct gdump_plan *plan, struct plan_cursor *c);

/* Whether page @pfn is kept; if it is in the plan, @index is its number there. */
bool plan_index(const struct gdump_plan *plan, uint64_t pfn, uint64_t *index);

/* Omit pages [pfn, pfn + num); returns how many of them were kept so far.  May be called from
 * many threads; the caller updates the counts of @plan.
 */
uint64_t plan_drop(struct gdump_plan *plan, uint64_t pfn, uint64_t num);

/* A copy of the bits of kept pages, for plan_restore(); to be freed.  NULL: no memory */
uint64_t *plan_save(const struct gdump_plan *plan);
void plan_restore(struct gdump_plan *plan, const uint64_t *saved);

/* The first pages [*from, *to) at or after @pfn that are in an extent; false: none are. */
bool plan_covers(const struct gdump_plan *plan, uint64_t pfn, uint64_t *from, uint64_t *to);

/* How many pages from @pfn on, which is in an extent, are all kept or all omitted; @kept says
 * which.
 */
uint64_t plan_run(const struct gdump_plan *plan, uint64_t pfn, bool *kept);

/* The pfn after the last page of all */
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
