/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "search.h"

#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum { PIECE_SIZE = 256 << 10, SMALLEST_PAGE = 4096 };

/* The most memory to search if it is slow to read: that takes ten seconds or so. */
static const uint64_t max_slow_search = (uint64_t)4 << 30;

bool search_is_possible(const struct source *s)
{
	uint64_t size = 0;

	for (size_t i = 0; i < s->image.num_ranges; i++)
		size += s->image.ranges[i].size;
	return s->ops->order != READ_ASCENDING || size <= max_slow_search;
}

/* Whether any page of [paddr, paddr + len) has to be read */
static bool search_is_worthwhile(struct source *s, uint64_t paddr, size_t len)
{
	unsigned char state[PIECE_SIZE / SMALLEST_PAGE + 1];
	const uint32_t page_size = s->image.page_size;
	const uint64_t first = paddr / page_size, last = (paddr + len - 1) / page_size;
	CLEANUP_ERROR struct gdump_error *err = NULL;

	err = source_scan(s, first, (size_t)(last - first + 1), state, true);
	return err || memchr(state, PAGE_THERE, (size_t)(last - first + 1));
}

/* Read a piece; pages that cannot be read are zero. */
static void search_read(struct source *s, uint64_t paddr, unsigned char *buf, size_t len)
{
	struct gdump_error *err = source_read(s, paddr, buf, len);
	size_t n;

	if (!err)
		return;
	gdump_error_destroy(err);
	for (size_t off = 0; off < len; off += n) {
		n = MIN(len - off, SMALLEST_PAGE);
		err = source_read(s, paddr + off, buf + off, n);
		if (err)
			memset(buf + off, 0, n);
		gdump_error_destroy(err);
	}
}

/* How many bytes from @paddr on, which is in @range, need no search */
static uint64_t search_gap(struct source *s, const struct gdump_range *range, uint64_t paddr)
{
	const uint64_t end = range->start + range->size, page_size = s->image.page_size;
	enum page_state state;

	if (paddr % page_size)
		return 0;
	return source_gap(s, paddr / page_size, (end - paddr) / page_size, &state) * page_size;
}

/* Search @range from @skip on, which is in it. */
static bool search_range(struct source *s, const struct gdump_range *range, uint64_t skip,
			 unsigned char *buf, search_fn *fn, void *arg)
{
	struct search_piece piece = { .data = buf };
	uint64_t left, gap;

	for (uint64_t done = skip; done < range->size; done += piece.own) {
		piece.paddr = range->start + done;
		left = range->size - done;
		gap = search_gap(s, range, piece.paddr);
		piece.own = (size_t)MIN(left, PIECE_SIZE - piece.paddr % PIECE_SIZE);
		piece.len = (size_t)MIN(left, piece.own + SEARCH_OVERLAP);
		if (gap >= piece.own) {
			done += gap - piece.own;
			continue;
		}
		if (!search_is_worthwhile(s, piece.paddr, piece.own))
			continue;
		search_read(s, piece.paddr, buf, piece.len);
		if (fn(arg, &piece))
			return true;
	}
	return false;
}

struct gdump_error *search_memory_from(struct source *s, uint64_t paddr, search_fn *fn, void *arg)
{
	CLEANUP_FREE unsigned char *buf = malloc(PIECE_SIZE + SEARCH_OVERLAP);
	bool over = false;

	if (!buf)
		return error_nomem();
	if (!search_is_possible(s))
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "memory was not searched, as it is too large to be read through "
				 "QEMU; run as root, or on the host itself");
	for (size_t i = 0; !over && i < s->image.num_ranges; i++) {
		const struct gdump_range *r = &s->image.ranges[i];
		const uint64_t skip = paddr > r->start ? paddr - r->start : 0;

		if (r->kind == GDUMP_RANGE_RAM && skip < r->size)
			over = search_range(s, r, skip, buf, fn, arg);
	}
	return NULL;
}

struct gdump_error *search_memory(struct source *s, search_fn *fn, void *arg)
{
	return search_memory_from(s, 0, fn, arg);
}

size_t search_text(const struct search_piece *piece, size_t from, const char *text)
{
	const unsigned char *p = from < piece->own ? memmem(piece->data + from, piece->len - from,
							    text, strlen(text)) : NULL;

	return p && p < piece->data + piece->own ? (size_t)(p - piece->data) : piece->len;
}
