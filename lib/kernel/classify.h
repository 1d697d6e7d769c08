/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * classify.h - decide about a page by its struct page
 *
 * All offsets and flags come from VMCOREINFO.  A page is omitted only on proof.  Decisions
 * are made in the order in which makedumpfile makes them, so that its dump levels mean the
 * same here.
 *
 * Facts: Linux's include/linux/page-flags.h and mm_types.h from 5.10 on.
 */
#pragma once

#include "../machine/image.h"
#include "page_kind.h"

/* A page type in _mapcount; only the bits of @mask are compared.  mask 0: unknown. */
struct page_type {
	uint32_t value, mask;
};

/* Where a folio's order and its hugetlb mark are, which depends on the age of the kernel */
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

/* The decision about a page, or about the block or folio that begins with it */
struct verdict {
	unsigned int why;               /* enum gdump_drop: omit it; 0: keep it */
	unsigned int order;             /* log2 of the number of pages          */
	bool inconsistent;                       /* contradicts itself, and is kept      */
};

/* Read the layout from VMCOREINFO; false: @missing names what it lacks. */
bool page_layout_read(const struct image *image, struct page_layout *ret, const char **missing);

/* The word that has the flags of a page in its low bits */
uint64_t page_flags(const struct page_layout *k, const unsigned char *page);

/* Whether the page is a tail page of a folio. */
bool page_is_tail(const struct page_layout *k, const unsigned char *page);

/* Decide about page @pfn.  @page: its struct page, followed by the next one if @has_next.
 * @drop: the kinds of pages to omit.
 */
struct verdict classify(const struct page_layout *k, const unsigned char *page, bool has_next,
			uint64_t pfn, unsigned int drop);

/* The kind of page @pfn, and of all pages of the block or folio that begins with it: 2^*order.  It
 * must not be a tail page.  The other arguments are those of classify().
 */
enum page_kind page_kind_of(const struct page_layout *k, const unsigned char *page, bool has_next,
			    uint64_t pfn, unsigned int *order);
