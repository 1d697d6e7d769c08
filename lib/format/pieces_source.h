/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pieces_source.h - the source of a file that holds memory in pieces
 *
 * A format whose memory lies uncompressed in its file embeds struct pieces_source as the
 * first member of its own source, or uses it as it is; adds ranges, notes and pieces; and
 * leaves the rest to the functions here:
 *
 *     struct pieces_source *p = pieces_source_create(sizeof(*p), &ops, in);
 *     struct gdump_error *err = p ? read_headers(p) : error_nomem();
 *
 *     return pieces_source_opened(p, err, ret);
 */
#pragma once

#include "../machine/source.h"
#include "pieces.h"

struct pieces_source {
	struct source source;
	struct bytes *in;               /* closed with the source               */
	struct pieces pieces;
};

/* A source of @size bytes that begins with a struct pieces_source; all else is zero.
 * NULL: out of memory.  Owns @in, also when it fails.
 */
void *pieces_source_create(size_t size, const struct source_ops *ops, struct bytes *in);
/* Ranges, notes and pieces are all there, and the pieces sorted: seal the image, and
 * count what is absent.
 */
MUST_CHECK struct gdump_error *pieces_source_seal(struct pieces_source *p);
/* The end of an open function: close @p if there was an error, else return it. */
MUST_CHECK struct gdump_error *pieces_source_opened(struct pieces_source *p,
						    struct gdump_error *err,
						    struct source **ret);

/* As in struct source_ops */
struct gdump_error *pieces_source_read(struct source *s, uint64_t paddr, void *buf, size_t len);
struct gdump_error *pieces_source_scan(struct source *s, uint64_t pfn, size_t num,
				       unsigned char *state, bool holes);
uint64_t pieces_source_gap(struct source *s, uint64_t pfn, uint64_t num,
			   enum page_state *state);
void pieces_source_close(struct source *s);
