/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "pieces.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bisect.h"
#include "../util/bits.h"
#include "../util/span.h"

struct gdump_error *pieces_add(struct pieces *ps, uint64_t paddr, uint64_t size, uint64_t off)
{
	if (!ARRAY_GROW(ps->list, ps->num))
		return error_nomem();
	ps->list[ps->num++] = (struct piece){ .paddr = paddr, .size = size, .off = off };
	return NULL;
}

void pieces_deinit(struct pieces *ps)
{
	free(ps->list);
}

static int piece_by_paddr(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->paddr != y->paddr)
		return x->paddr > y->paddr ? 1 : -1;
	return (x->off > y->off) - (x->off < y->off);
}

bool pieces_sort(struct pieces *ps)
{
	size_t n = 0;
	uint64_t last = 0;              /* byte of the pieces so far */
	bool apart = true;

	if (ps->num)
		qsort(ps->list, ps->num, sizeof(*ps->list), piece_by_paddr);
	for (size_t i = 0; i < ps->num; i++) {
		struct piece p = ps->list[i];

		if (n && p.paddr <= last) {
			uint64_t cut = last - p.paddr + 1;

			apart = false;
			if (cut >= p.size)
				continue;
			p.paddr += cut, p.size -= cut;
			if (p.off != PIECE_ZERO)
				p.off += cut;
		}
		last = p.paddr + (p.size - 1);
		ps->list[n++] = p;
	}
	ps->num = n;
	return apart;
}

void pieces_trim(struct pieces *ps, const struct bytes *in, const struct image *image)
{
	size_t n = 0;

	for (size_t i = 0; i < ps->num; i++) {
		struct piece p = ps->list[i];
		const uint64_t end = p.paddr + p.size;

		if (p.off != PIECE_ZERO && p.off + p.size == in->size && image_range_at(image, end))
			p.size -= MIN(p.size, end % image->page_size);
		if (p.size)
			ps->list[n++] = p;
	}
	ps->num = n;
}

size_t pieces_after(const struct pieces *ps, uint64_t paddr)
{
	return BISECT(ps->num, i, ps->list[i].paddr + (ps->list[i].size - 1) >= paddr);
}

uint64_t pieces_bytes(const struct pieces *ps)
{
	uint64_t n = 0;

	for (size_t i = 0; i < ps->num; i++)
		n += ps->list[i].size;
	return n;
}

uint64_t pieces_absent(const struct pieces *ps, const struct image *image)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < image->num_ranges; i++)
		bytes += image->ranges[i].size;
	bytes -= MIN(pieces_bytes(ps), bytes);
	return bytes / image->page_size;
}

/* Read from the piece at @paddr, which is in it. */
static struct gdump_error *piece_read(const struct piece *x, struct bytes *in, uint64_t paddr,
				      unsigned char *buf, size_t len)
{
	if (x->off != PIECE_ZERO)
		return bytes_read(in, x->off + (paddr - x->paddr), buf, len);
	memset(buf, 0, len);
	return NULL;
}

/* How many of the @len bytes from @paddr on, which are in the piece, are a hole. */
static uint64_t piece_hole(const struct piece *x, struct bytes *in, uint64_t paddr, uint64_t len)
{
	return x->off == PIECE_ZERO ? len : bytes_hole(in, x->off + (paddr - x->paddr), len);
}

struct gdump_error *pieces_read(const struct pieces *ps, struct bytes *in, uint64_t paddr,
				void *buf, size_t len)
{
	const uint64_t first = paddr;
	unsigned char *p = buf;
	bool some = false;

	for (size_t i = pieces_after(ps, paddr); len && i < ps->num; i++) {
		const struct piece *x = &ps->list[i];
		const struct span_step step = span_step(x->paddr, x->size, paddr, len);
		struct gdump_error *err;

		memset(p, 0, step.gap);
		p += step.gap, paddr += step.gap, len -= step.gap;
		if (!step.len)
			break;
		err = piece_read(x, in, paddr, p, step.len);
		if (err)
			return error_prefix(err, "memory at 0x%" PRIx64, paddr);
		some = true;
		p += step.len, paddr += step.len, len -= step.len;
	}
	memset(p, 0, len);
	if (!some)
		return error_new(GDUMP_ERR_NODATA, "memory at 0x%" PRIx64 " is not in the dump",
				 first);
	return NULL;
}

/* Find the state of the page at @paddr; returns how many of @num pages from there on are
 * known to share it.
 */
static size_t pieces_scan_run(const struct pieces *ps, struct bytes *in, uint32_t page_size,
			      uint64_t paddr, size_t num, unsigned char *state)
{
	const size_t i = pieces_after(ps, paddr);
	const struct piece *x = i < ps->num ? &ps->list[i] : NULL;
	uint64_t whole, hole;

	*state = PAGE_ABSENT;
	if (!x)
		return num;
	if (x->paddr > paddr && x->paddr - paddr >= page_size)
		return (size_t)MIN((x->paddr - paddr) / page_size, num);
	*state = PAGE_THERE;
	whole = x->paddr <= paddr ? (x->size - (paddr - x->paddr)) / page_size : 0;
	whole = MIN(whole, num);
	if (!in || !whole)
		return (size_t)MAX(whole, 1);
	hole = piece_hole(x, in, paddr, whole * page_size) / page_size;
	if (hole)
		*state = PAGE_HOLE;
	return (size_t)MAX(hole, 1);
}

void pieces_scan(const struct pieces *ps, struct bytes *in, uint32_t page_size, uint64_t pfn,
		 size_t num, unsigned char *state)
{
	for (size_t i = 0, n; i < num; i += n) {
		n = pieces_scan_run(ps, in, page_size, (pfn + i) * page_size, num - i, &state[i]);
		memset(&state[i], state[i], n);
	}
}

uint64_t pieces_gap(const struct pieces *ps, struct bytes *in, uint32_t page_size, uint64_t pfn,
		    uint64_t num, enum page_state *state)
{
	const uint64_t paddr = pfn * page_size;
	const size_t i = pieces_after(ps, paddr);
	const struct piece *x = i < ps->num ? &ps->list[i] : NULL;

	*state = PAGE_ABSENT;
	if (!x)
		return num;
	if (x->paddr > paddr)
		return MIN((x->paddr - paddr) / page_size, num);
	*state = PAGE_HOLE;
	return MIN(piece_hole(x, in, paddr, x->size - (paddr - x->paddr)) / page_size, num);
}

/* Find the next run of uncompressed pages that are adjacent in memory. */
static bool piece_walk_next_run(struct piece_walk *w)
{
	const struct page *pages = w->batch->pages;
	const size_t num = w->batch->num_pages;
	size_t n = 1;

	/* zero and lost pages have no data, and are not written */
	while (w->page < num && pages[w->page].kind != PAGE_UNCOMPRESSED)
		w->page++;
	if (w->page == num)
		return false;
	while (w->page + n < num && pages[w->page + n].kind == PAGE_UNCOMPRESSED &&
	       pages[w->page + n].pfn == pages[w->page].pfn + n)
		n++;
	w->data = w->next_data ? w->next_data : w->batch->data;
	w->paddr = pages[w->page].pfn * w->page_size;
	w->len = n * (uint64_t)w->page_size;
	w->next_data = w->data + w->len;
	w->page += n;
	return true;
}

static void piece_walk_skip(struct piece_walk *w, uint64_t n)
{
	w->data += n;
	w->paddr += n;
	w->len -= n;
}

bool piece_walk_next(struct piece_walk *w, struct piece_part *ret)
{
	while (w->len || piece_walk_next_run(w)) {
		const size_t i = pieces_after(w->pieces, w->paddr);
		const struct piece *x = i < w->pieces->num ? &w->pieces->list[i] : NULL;

		if (!x || (x->paddr > w->paddr && x->paddr - w->paddr >= w->len)) {
			w->len = 0;
			continue;
		}
		if (x->paddr > w->paddr)
			piece_walk_skip(w, x->paddr - w->paddr);
		*ret = (struct piece_part){
			.piece = i, .paddr = w->paddr, .off = x->off + (w->paddr - x->paddr),
			.data = w->data,
			.len = (size_t)MIN(w->len, x->size - (w->paddr - x->paddr)),
		};
		piece_walk_skip(w, ret->len);
		return true;
	}
	return false;
}

struct gdump_error *pieces_store(const struct pieces *ps, struct sink *sink,
				 const struct batch *b, uint32_t page_size)
{
	struct piece_walk w = { .pieces = ps, .batch = b, .page_size = page_size };
	struct gdump_error *err = NULL;
	struct piece_part part;

	while (!err && piece_walk_next(&w, &part))
		err = sink_write(sink, part.off, part.data, part.len);
	return err;
}
