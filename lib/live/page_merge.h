/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * page_merge.h - the guest's pages out of smaller ones
 *
 * For one thread at a time.
 */
#pragma once

#include "../error.h"

enum { PAGE_MERGE_MAX = 64 };           /* parts of a page                      */

struct page_merge {
	/* set by the caller: bytes of a page of the guest, and of the parts that come */
	uint32_t page_size, part_size;
	void *tree;                     /* partial pages, by pfn                */
	size_t num;                     /* of those                             */
	void *complete;                 /* the page that was returned last      */
};

/* The part of a page that is at @paddr; @data NULL: it is zero.  When that completes the
 * page, *@page is the page, until the next call, else NULL.  GDUMP_ERR_UNSUPPORTED when too
 * many pages are partial.
 */
MUST_CHECK struct gdump_error *page_merge_add(struct page_merge *m, uint64_t paddr,
					      const void *data, const void **page);
void page_merge_deinit(struct page_merge *m);
