/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * page_store.h - pages that came before anyone knew whether they are wanted
 *
 * For one thread at a time.
 */
#pragma once

#include "../error.h"

struct kept_page {
	uint64_t key;                   /* its pfn plus 1; 0: the slot is free  */
	const unsigned char *data;      /* NULL: it is zero                     */
};

/* All zero but .page_size: empty */
struct page_store {
	uint32_t page_size;
	struct kept_page *table;        /* a hash table                         */
	size_t cap, num;                /* of its slots, those in use           */
	unsigned char **chunks;         /* memory for the pages' data           */
	size_t num_chunks, chunk_used;  /* pages of the last one                */
	uint64_t bytes;                 /* that all this takes                  */
};

/* Keep a copy of a page; @data NULL: it is zero.  One that is there already stays as it is. */
MUST_CHECK struct gdump_error *page_store_put(struct page_store *p, uint64_t pfn, const void *data);
/* The page, or NULL: it is not there. */
const struct kept_page *page_store_find(const struct page_store *p, uint64_t pfn);
/* The next page from slot *@i on, which moves past it; NULL: there is none. */
const struct kept_page *page_store_next(const struct page_store *p, size_t *i);
static inline uint64_t kept_page_pfn(const struct kept_page *page)
{
	return page->key - 1;
}
void page_store_deinit(struct page_store *p);
