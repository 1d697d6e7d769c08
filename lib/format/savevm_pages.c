/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/savevm_pages.c - the pages of a migration stream in a file
 */
#include "savevm_source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../codec/codec.h"
#include "../util/be.h"
#include "../util/bisect.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum {
	MAX_RUN = 128,                  /* pages that are read at once          */
	PAGE_HEADER = 8,                /* bytes between two pages of a block   */
};

bool savevm_bit(const struct savevm *v, uint32_t block, uint64_t n)
{
	const uint64_t byte = v->big_longs ? n / 64 * 8 + 7 - n % 64 / 8 : n / 8;

	return v->bitmaps[block][byte] >> n % 8 & 1;
}

struct gdump_error *savevm_page_error(const struct savevm *v, uint32_t block, uint64_t off,
				      const char *what)
{
	return error_new(GDUMP_ERR_CORRUPT, "offset 0x%" PRIx64 " of memory block '%s': %s", off,
			 v->m.blocks[block].name, what);
}

/* Read the data at @pos of the file, and its length, which precedes it as @len_size bytes.  The
 * parser checked the length, but the file may have changed since.
 */
static struct gdump_error *savevm_read_compressed(const struct savevm *v, uint64_t pos,
						  size_t len_size, unsigned char *buf, size_t cap,
						  size_t *ret)
{
	unsigned char head[4];
	struct gdump_error *err = bytes_read(v->in, pos - len_size, head, len_size);

	if (err)
		return err;
	*ret = len_size == 2 ? load_be16(head) : load_be32(head);
	if (*ret > cap)
		return error_new(GDUMP_ERR_CORRUPT, "the file changed while it was read");
	return bytes_read(v->in, pos, buf, *ret);
}

static struct gdump_error *savevm_decompress_zlib(const struct savevm *v, uint64_t pos,
						  unsigned char *page)
{
	const size_t size = v->m.page_size, cap = 2 * size;
	CLEANUP_FREE unsigned char *buf = malloc(cap);
	struct gdump_error *err;
	void *state;
	size_t len;
	bool ok;

	if (!buf)
		return error_nomem();
	err = savevm_read_compressed(v, pos, 4, buf, cap, &len);
	if (err)
		return err;
	state = codec_zlib.decompress_open();
	if (!state)
		return error_nomem();
	ok = codec_zlib.decompress(state, page, size, buf, len);
	codec_zlib.decompress_close(state);
	return ok ? NULL : error_new(GDUMP_ERR_CORRUPT, "the page at offset %" PRIu64
				     " of the file is invalid zlib data", pos);
}

/* Load the page of an entry that is not a delta. */
static struct gdump_error *savevm_load_whole(const struct savevm *v, uint64_t entry,
					     unsigned char *page)
{
	const size_t size = v->m.page_size;
	const uint64_t value = entry_value(entry);

	switch (entry_form(entry)) {
	case ENTRY_AT:
		return bytes_read(v->in, value, page, size);
	case ENTRY_ZLIB:
		return savevm_decompress_zlib(v, value, page);
	default:
		memset(page, 0, size);
		return NULL;
	}
}

static struct gdump_error *savevm_apply_delta(const struct savevm *v, uint64_t pos,
					      unsigned char *page)
{
	const size_t size = v->m.page_size;
	CLEANUP_FREE unsigned char *buf = malloc(size);
	struct gdump_error *err;
	size_t len;

	if (!buf)
		return error_nomem();
	err = savevm_read_compressed(v, pos, 2, buf, size, &len);
	if (!err && !page_apply_delta(page, size, buf, len))
		err = error_new(GDUMP_ERR_CORRUPT, "the XBZRLE page at offset %" PRIu64
				" of the file is invalid", pos);
	return err;
}

/* Each delta leads to the older one that it changes, so the last that is found is applied first. */
static struct gdump_error *savevm_load_page(const struct savevm *v, uint64_t entry,
					    unsigned char *page)
{
	const struct page_delta *deltas = v->index.deltas;
	CLEANUP_FREE uint64_t *chain = NULL;
	struct gdump_error *err;
	size_t num = 0;
	uint64_t e;

	for (e = entry; entry_form(e) == ENTRY_DELTA; e = deltas[entry_value(e)].before)
		num++;
	chain = malloc((num + 1) * sizeof(*chain));
	if (!chain)
		return error_nomem();
	num = 0;
	for (e = entry; entry_form(e) == ENTRY_DELTA; e = deltas[entry_value(e)].before)
		chain[num++] = deltas[entry_value(e)].pos;
	err = savevm_load_whole(v, e, page);
	while (!err && num)
		err = savevm_apply_delta(v, chain[--num], page);
	return err;
}

static struct gdump_error *savevm_read_part(const struct savevm *v, uint64_t entry, size_t from,
					    void *buf, size_t len)
{
	CLEANUP_FREE unsigned char *page = NULL;
	struct gdump_error *err;

	if (entry_form(entry) == ENTRY_AT)
		return bytes_read(v->in, entry_value(entry) + from, buf, len);
	if (entry_form(entry) == ENTRY_NEVER && v->source.image.incomplete)
		return error_new(GDUMP_ERR_NODATA, "this page is not in the file");
	if (entry_form(entry) <= ENTRY_ZERO) {
		memset(buf, 0, len);
		return NULL;
	}
	page = malloc(v->m.page_size);
	if (!page)
		return error_nomem();
	err = savevm_load_page(v, entry, page);
	if (!err)
		memcpy(buf, page + from, len);
	return err;
}

/* How many pages from number @n on, at most @max, are in consecutive places of the file.  0: page
 * @n is not uncompressed in the file.
 */
static size_t savevm_run_length(const struct savevm *v, uint32_t block, uint64_t n, size_t max)
{
	const uint64_t first = page_index_at(&v->index, block, n);
	size_t num = 1;

	if (entry_form(first) != ENTRY_AT)
		return 0;
	max = MIN(max, MAX_RUN);
	while (num < max && page_index_at(&v->index, block, n + num) ==
				    first + num * (v->m.page_size + PAGE_HEADER))
		num++;
	return num;
}

/* Read @num such pages with one call, and move them together over the headers between them.
 * @buf has room for the pages only, so the end of the last page is read by a second call.
 */
static struct gdump_error *savevm_read_run(const struct savevm *v, uint64_t pos, unsigned char *buf,
					   size_t num)
{
	const size_t size = v->m.page_size, all = num * size, gaps = (num - 1) * PAGE_HEADER;
	struct gdump_error *err = bytes_read(v->in, pos, buf, all);

	if (err)
		return err;
	for (size_t i = 1; i < num; i++) {
		const size_t from = i * (size + PAGE_HEADER);

		memmove(buf + i * size, buf + from, MIN(size, all - from));
	}
	return bytes_read(v->in, pos + all, buf + all - gaps, gaps);
}

static struct gdump_error *savevm_read_mapped(const struct savevm *v, uint32_t block, uint64_t off,
					      unsigned char *buf, size_t *len)
{
	const uint64_t size = v->m.page_size, n = off / size;
	const bool there = savevm_bit(v, block, n);
	uint64_t end = n + 1;

	while (end * size < off + *len && savevm_bit(v, block, end) == there)
		end++;
	*len = (size_t)MIN(*len, end * size - off);
	if (there)
		return bytes_read(v->in, v->m.blocks[block].pages_off + off, buf, *len);
	memset(buf, 0, *len);
	return NULL;
}

/* Read the first part of [off, off + *len) of a block, and set *@len to the size of that part. */
static struct gdump_error *savevm_read_some(const struct savevm *v, uint32_t block, uint64_t off,
					    unsigned char *buf, size_t *len)
{
	const size_t size = v->m.page_size, from = off % size;
	const uint64_t n = off / size;
	struct gdump_error *err;
	uint64_t entry;

	if (v->bitmaps[block])
		return savevm_read_mapped(v, block, off, buf, len);
	entry = page_index_at(&v->index, block, n);
	if (!from && *len >= size) {
		const size_t run = savevm_run_length(v, block, n, *len / size);

		if (run) {
			*len = run * size;
			return savevm_read_run(v, entry_value(entry), buf, run);
		}
	}
	*len = MIN(*len, size - from);
	err = savevm_read_part(v, entry, from, buf, *len);
	return err && gdump_error_code(err) == GDUMP_ERR_CORRUPT ?
		error_prefix(err, "offset 0x%" PRIx64 " of memory block '%s'", off,
			     v->m.blocks[block].name) : err;
}

/* The number of the first range of the layout that ends after @paddr */
static size_t savevm_range_after(const struct savevm *v, uint64_t paddr)
{
	const struct block_range *r = v->layout.ranges;

	return BISECT(v->layout.num_ranges, i, r[i].paddr + (r[i].size - 1) >= paddr);
}

struct gdump_error *savevm_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct savevm *v = (struct savevm *)s;
	struct gdump_error *err = NULL;
	unsigned char *p = buf;

	/* a range of the image may be several of the layout, without gaps */
	for (size_t i = savevm_range_after(v, paddr); !err && len;) {
		const struct block_range *r = &v->layout.ranges[i];
		size_t n = (size_t)MIN(len, r->size - (paddr - r->paddr));

		err = savevm_read_some(v, r->block, r->off + (paddr - r->paddr), p, &n);
		p += n, paddr += n, len -= n;
		if (paddr - r->paddr == r->size)
			i++;
	}
	return err;
}

static enum page_state savevm_state_at(const struct savevm *v, uint32_t block, uint64_t n)
{
	enum page_form form;

	if (v->bitmaps[block])
		return savevm_bit(v, block, n) ? PAGE_THERE : PAGE_HOLE;
	form = entry_form(page_index_at(&v->index, block, n));
	if (form == ENTRY_NEVER)
		return v->source.image.incomplete ? PAGE_ABSENT : PAGE_HOLE;
	return form == ENTRY_ZERO ? PAGE_HOLE : PAGE_THERE;
}

/* The state of a page of the image, which may consist of several pages of the stream */
static unsigned char savevm_page_state(const struct savevm *v, uint64_t paddr, uint64_t len)
{
	const size_t first = savevm_range_after(v, paddr);
	unsigned char state = PAGE_HOLE;

	for (size_t i = first; i < v->layout.num_ranges; i++) {
		const struct block_range *r = &v->layout.ranges[i];
		const uint64_t begin = MAX(paddr, r->paddr);
		const uint64_t end = MIN(paddr + (len - 1), r->paddr + (r->size - 1));

		if (r->paddr > paddr + (len - 1))
			break;
		for (uint64_t n = (r->off + begin - r->paddr) / v->m.page_size;
		     n <= (r->off + end - r->paddr) / v->m.page_size; n++) {
			const enum page_state one = savevm_state_at(v, r->block, n);

			if (one == PAGE_ABSENT)
				return PAGE_ABSENT;
			if (one == PAGE_THERE)
				state = PAGE_THERE;
		}
	}
	return state;
}

/* How many pages from @paddr on are certain to be in memory that was never sent.  A stream may have
 * blocks that are far larger than all of its pages, and this finds such gaps quickly.
 */
static uint64_t savevm_gap_at(const struct savevm *v, uint64_t paddr, uint64_t num)
{
	const uint32_t page_size = v->source.image.page_size;
	const size_t i = savevm_range_after(v, paddr);
	const struct block_range *r = &v->layout.ranges[i];
	uint64_t off, gap;

	if (i == v->layout.num_ranges || r->paddr > paddr)
		return 0;
	off = r->off + (paddr - r->paddr);
	gap = page_index_gap(&v->index, r->block, off / v->m.page_size) * v->m.page_size;
	if (gap <= off % v->m.page_size)
		return 0;
	gap = MIN(gap - off % v->m.page_size, r->size - (paddr - r->paddr));
	return MIN(gap / page_size, num);
}

struct gdump_error *savevm_scan(struct source *s, uint64_t pfn, size_t num, unsigned char *state,
				bool holes)
{
	struct savevm *v = (struct savevm *)s;
	const uint32_t page_size = s->image.page_size;
	const int never = s->image.incomplete ? PAGE_ABSENT : PAGE_HOLE;

	(void)holes;                    /* they are found without reading pages */
	for (size_t i = 0; i < num;) {
		const uint64_t paddr = (pfn + i) * page_size;
		const size_t gap = (size_t)savevm_gap_at(v, paddr, num - i);

		if (gap)
			memset(state + i, never, gap);
		else
			state[i] = savevm_page_state(v, paddr, page_size);
		i += gap ? gap : 1;
	}
	return NULL;
}

uint64_t savevm_gap(struct source *s, uint64_t pfn, uint64_t num, enum page_state *state)
{
	*state = s->image.incomplete ? PAGE_ABSENT : PAGE_HOLE;
	return savevm_gap_at((struct savevm *)s, pfn * s->image.page_size, num);
}
