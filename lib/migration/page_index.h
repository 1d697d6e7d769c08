/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/page_index.h - where in a stream each page's latest contents are
 *
 * 8 bytes for each page, in chunks that are made when the first page of 2 MiB
 * comes.  Changes to a page (XBZRLE) are chained to what they change.
 */
#pragma once

#include "migration.h"

/* What is known of a page; ENTRY_NEVER is 0: it has not come. */
enum page_form { ENTRY_NEVER, ENTRY_ZERO, ENTRY_AT, ENTRY_ZLIB, ENTRY_DELTA };

struct page_delta {
	uint64_t before;                /* the entry that it changes            */
	uint64_t pos;                   /* in the stream                        */
};

struct page_index {
	struct block_pages {
		uint64_t num_pages;
		uint64_t num_sent;      /* of them, those that came at least once */
		uint64_t **chunks;      /* NULL: mapped-ram, nothing is kept    */
	} *blocks;
	size_t num_blocks;
	struct page_delta *deltas;
	size_t num_deltas;
	uint64_t bytes;                 /* of all chunks                        */
	uint64_t num_again;             /* pages that came for a place that had one */
	uint32_t page_size;
};

/* For the blocks of @m, which are complete.  page_index_deinit() is due also after an error. */
MUST_CHECK struct gdump_error *page_index_init(struct page_index *x, const struct migration *m);
/* GDUMP_ERR_CORRUPT where the index would be far larger than the stream. */
MUST_CHECK struct gdump_error *page_index_add(struct page_index *x,
					      const struct migration_page *page);
void page_index_deinit(struct page_index *x);

/* The entry of page number @n of a block. */
uint64_t page_index_at(const struct page_index *x, uint32_t block, uint64_t n);
/* How many pages from number @n on are sure to be ENTRY_NEVER; may be 0 for some that
 * are.
 */
uint64_t page_index_gap(const struct page_index *x, uint32_t block, uint64_t n);

static inline enum page_form entry_form(uint64_t entry)
{
	return (enum page_form)(entry >> 56);
}

/* A place in the stream, or the number of a delta; 0 for ENTRY_NEVER and ENTRY_ZERO */
static inline uint64_t entry_value(uint64_t entry)
{
	return entry & (((uint64_t)1 << 56) - 1);
}

/* Apply an XBZRLE delta of @len bytes to @page.  False: it is wrong, and only part of it was
 * applied.
 */
bool page_apply_delta(unsigned char *page, size_t page_size, const unsigned char *delta,
		      size_t len);
