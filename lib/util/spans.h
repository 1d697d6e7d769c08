/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * spans.h - a set of bytes, of a file or of memory, as a list of spans
 *
 * spans_add() may be called in any order; after spans_sort() the list is ascending, and no two
 * spans touch.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	uint64_t start, size;           /* size is above 0                      */
};

struct spans {
	struct span *list;
	size_t num;
};

/* Add [@start, @start + @size), which does not wrap.  false: no memory */
bool spans_add(struct spans *s, uint64_t start, uint64_t size);
/* Sort and merge. */
void spans_sort(struct spans *s);
/* Of a sorted list: the index of the first span that ends after @at; ->num: there is none. */
size_t spans_from(const struct spans *s, uint64_t at);
/* Of a sorted list: whether a byte of [@start, @start + @size) is in it. */
bool spans_touch(const struct spans *s, uint64_t start, uint64_t size);
void spans_deinit(struct spans *s);

#define CLEANUP_SPANS __attribute__((__cleanup__(spans_deinit)))
