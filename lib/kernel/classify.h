/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * classify.h - what Linux says of a page in its struct page
 *
 * Everything is told by VMCOREINFO; a kernel's version is never asked, since
 * distributions move changes between versions.  A page is dropped only on proof.
 * Facts: Linux's include/linux/page-flags.h and mm_types.h from 5.10 on, and the
 * order of makedumpfile's decisions, so that its dump levels mean the same here.
 */
#pragma once

#include "../machine/image.h"

/* A page type in _mapcount: counts only under its mask.  mask 0: unknown. */
struct page_type {
	uint32_t value, mask;
};

/* Where a folio's order and "I am hugetlb" are, by age of the kernel. */
enum order_form {
	ORDER_UNKNOWN,          /* heads are single pages                       */
	ORDER_COMPOUND,         /* page.compound_order, compound_dtor           */
	ORDER_FOLIO,            /* folio._folio_order, _folio_dtor              */
	ORDER_FLAGS_1,          /* low byte of the second page's flags          */
};

struct page_layout {
	bool big;
	uint32_t size;                  /* of struct page                       */
	uint32_t flags, mapping, mapcount, private, compound;   /* offsets      */
	uint64_t lru, swapcache, swapbacked, has_private, head, slab, hwpoison; /* in flags */
	struct page_type buddy, offline, slab_type, unaccepted, hugetlb;
	enum order_form order_form;
	uint32_t order_off, dtor_off;
	uint8_t hugetlb_dtor;
	uint64_t hugetlb_flag;          /* in the second page's flags           */
	uint32_t num_orders;            /* of the buddy allocator               */
};

/* What to do with the pages that begin with one. */
struct verdict {
	unsigned int why;               /* enum gdump_drop; 0: keep             */
	unsigned int order;             /* of the pages it is about             */
	bool inconsistent;                       /* it contradicts itself: kept          */
};

/* Read the layout out of VMCOREINFO; false: @missing says what is not there. */
bool page_layout_read(const struct image *image, struct page_layout *ret, const char **missing);

/* The flags of a page, in the low bits; others are above. */
uint64_t page_flags(const struct page_layout *k, const unsigned char *page);

/* Whether it belongs to the folio whose head is before it. */
bool page_is_tail(const struct page_layout *k, const unsigned char *page);

/* Judge the page @pfn.  @page: its struct page, followed by the next one when
 * @has_next.
 */
struct verdict classify(const struct page_layout *k, const unsigned char *page, bool has_next,
			uint64_t pfn, unsigned int drop);
