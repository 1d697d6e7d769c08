/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * page_survey.h - what memory is used for, from its beginning to its end
 */
#pragma once

#include "../machine/walker.h"
#include "page_kind.h"

/* Pages of guest memory that begin at a multiple of the cells' size */
struct page_cell {
	uint64_t pfn;
	uint64_t ram;                   /* how many of them are memory          */
	uint64_t seen;                  /* of how many the kind was looked up   */
	uint64_t kinds[PAGE_KINDS];     /* how many are of each; in all, ram    */
};

struct page_survey {
	uint64_t cell_pages;            /* a power of two                       */
	struct page_cell *cells;        /* those that have memory, ascending    */
	size_t num;
	bool is_sample;                 /* not all pages were looked up         */
};

/* Survey all memory in at most @max_cells cells, with @w, which walks the kernel's page tables.
 * Where struct pages cannot be read, the kind is PAGE_UNKNOWN.  GDUMP_ERR_UNSUPPORTED: they were
 * not found.  The caller calls page_survey_deinit() after success.
 */
MUST_CHECK struct gdump_error *page_survey_read(struct walker *w, size_t max_cells,
						struct page_survey *ret);
void page_survey_deinit(struct page_survey *s);
