/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * search.h - search all memory for something whose address is unknown
 */
#pragma once

#include "../machine/source.h"

enum { SEARCH_OVERLAP = 4096 };         /* nothing that is found is longer      */

/* A piece of memory: the search is for what begins in its first @own bytes; what follows is
 * the start of the next piece.
 */
struct search_piece {
	uint64_t paddr;
	const unsigned char *data;
	size_t own, len;
};

/* Returns true to end the search. */
typedef bool search_fn(void *arg, const struct search_piece *piece);

/* Call @fn for all RAM in ascending order, but for what is known to be zero or missing.  What
 * cannot be read is skipped.  GDUMP_ERR_UNSUPPORTED: so much memory would take too long.
 */
MUST_CHECK struct gdump_error *search_memory(struct source *s, search_fn *fn, void *arg);
/* The same for what begins at @paddr or later, as another search has found nothing before */
MUST_CHECK struct gdump_error *search_memory_from(struct source *s, uint64_t paddr, search_fn *fn,
						  void *arg);
/* Whether all memory can be searched in a reasonable time */
bool search_is_possible(const struct source *s);
/* The first place of @text in a piece, at or after @from, before ->own; len: there is none */
size_t search_text(const struct search_piece *piece, size_t from, const char *text);
