/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/page_index.c - where in a stream each page's latest contents are
 */
#include "page_index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bits.h"

enum { CHUNK_PAGES = 512 };

/* A page takes at least 9 bytes of the stream, and the neighbours of a page come as well.  So
 * chunks that outgrow the stream by far come from a stream that is made to use up memory.
 */
enum { FREE_BYTES = 64 << 20, BYTES_PER_BYTE = 8 };

struct gdump_error *page_index_init(struct page_index *x, const struct migration *m)
{
	x->page_size = m->page_size;
	x->blocks = calloc(m->num_blocks, sizeof(*x->blocks));
	if (!x->blocks)
		return error_nomem();
	x->num_blocks = m->num_blocks;
	for (size_t i = 0; i < m->num_blocks; i++) {
		struct block_pages *b = &x->blocks[i];

		b->num_pages = m->blocks[i].size / m->page_size;
		if (m->blocks[i].pages_off)
			continue;
		b->chunks = calloc(div_up(b->num_pages, CHUNK_PAGES), sizeof(*b->chunks));
		if (!b->chunks)
			return error_nomem();
	}
	return NULL;
}

static uint64_t entry_make(enum page_form form, uint64_t value)
{
	return (uint64_t)form << 56 | value;
}

static struct gdump_error *page_index_add_delta(struct page_index *x, uint64_t before, uint64_t pos,
						uint64_t *entry)
{
	if (!ARRAY_GROW(x->deltas, x->num_deltas))
		return error_nomem();
	x->deltas[x->num_deltas] = (struct page_delta){ .before = before, .pos = pos };
	*entry = entry_make(ENTRY_DELTA, x->num_deltas++);
	return NULL;
}

static struct gdump_error *page_index_add_chunk(struct page_index *x, uint64_t pos,
						uint64_t **chunk)
{
	const size_t size = CHUNK_PAGES * sizeof(**chunk);

	x->bytes += size;
	if (x->bytes > FREE_BYTES && (x->bytes - FREE_BYTES) / BYTES_PER_BYTE > pos)
		return error_new(GDUMP_ERR_CORRUPT,
				 "migration stream at offset %" PRIu64 ": the pages are scattered over far more memory than they fill",
				 pos);
	*chunk = calloc(1, size);
	return *chunk ? NULL : error_nomem();
}

struct gdump_error *page_index_add(struct page_index *x, const struct migration_page *page)
{
	struct block_pages *b = &x->blocks[page->block];
	const uint64_t n = page->off / x->page_size;
	uint64_t **chunk, *entry;
	struct gdump_error *err;

	if (!b->chunks)
		return error_new(GDUMP_ERR_CORRUPT, "migration stream at offset %" PRIu64
				 ": this page belongs to a block whose pages are elsewhere", page->pos);
	chunk = &b->chunks[n / CHUNK_PAGES];
	if (!*chunk) {
		err = page_index_add_chunk(x, page->pos, chunk);
		if (err)
			return err;
	}
	entry = &(*chunk)[n % CHUNK_PAGES];
	x->num_again += *entry != 0;
	b->num_sent += !*entry;
	switch (page->kind) {
	case MIGRATION_ZERO:
		*entry = entry_make(ENTRY_ZERO, 0);
		return NULL;
	case MIGRATION_RAW:
		*entry = entry_make(ENTRY_AT, page->pos);
		return NULL;
	case MIGRATION_ZLIB:
		*entry = entry_make(ENTRY_ZLIB, page->pos);
		return NULL;
	case MIGRATION_XBZRLE:
		if (!*entry)
			return error_new(GDUMP_ERR_CORRUPT, "migration stream at offset %" PRIu64
					 ": this changes a page that was never sent", page->pos);
		return page_index_add_delta(x, *entry, page->pos, entry);
	}
	return NULL;
}

uint64_t page_index_at(const struct page_index *x, uint32_t block, uint64_t n)
{
	const struct block_pages *b = &x->blocks[block];
	const uint64_t *chunk = b->chunks[n / CHUNK_PAGES];

	return chunk ? chunk[n % CHUNK_PAGES] : 0;
}

uint64_t page_index_gap(const struct page_index *x, uint32_t block, uint64_t n)
{
	const struct block_pages *b = &x->blocks[block];

	if (!b->chunks || b->chunks[n / CHUNK_PAGES])
		return 0;
	return MIN(CHUNK_PAGES - n % CHUNK_PAGES, b->num_pages - n);
}

void page_index_deinit(struct page_index *x)
{
	for (size_t i = 0; i < x->num_blocks; i++) {
		struct block_pages *b = &x->blocks[i];

		for (uint64_t n = 0; b->chunks && n < div_up(b->num_pages, CHUNK_PAGES); n++)
			free(b->chunks[n]);
		free(b->chunks);
	}
	free(x->blocks);
	free(x->deltas);
	*x = (struct page_index){ 0 };
}

/* ULEB128 of at most 14 bits, as QEMU writes it; false: there is none. */
static bool delta_take_count(const unsigned char **p, const unsigned char *end, size_t *ret)
{
	const unsigned char *q = *p;

	if (q == end || (q[0] & 0x80 && (end - q < 2 || q[1] & 0x80)))
		return false;
	*ret = q[0] & 0x7f;
	if (q[0] & 0x80)
		*ret |= (size_t)q[1] << 7;
	*p += q[0] & 0x80 ? 2 : 1;
	return true;
}

/* In turn: how many bytes remain, how many change, and those. */
bool page_apply_delta(unsigned char *page, size_t page_size, const unsigned char *delta, size_t len)
{
	const unsigned char *p = delta, *end = delta + len;
	size_t at = 0, n;

	while (p < end) {
		if (!delta_take_count(&p, end, &n) || n > page_size - at)
			return false;
		at += n;
		if (!delta_take_count(&p, end, &n) || n > page_size - at || n > (size_t)(end - p))
			return false;
		memcpy(page + at, p, n);
		p += n, at += n;
	}
	return true;
}
