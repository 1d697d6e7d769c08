/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pieces.h - pieces of guest-physical memory that lie uncompressed in a file
 *
 * ELF cores, LiME, raw files, s390 and Windows dumps are read and written with this.  A list is
 * filled by pieces_add(), sorted by pieces_sort(), and read-only from then on.
 */
#pragma once

#include "../bytes/bytes.h"
#include "../write/writer.h"

struct piece {
	uint64_t paddr, size;           /* size is above 0                      */
	uint64_t off;                   /* of its bytes in the file, or PIECE_ZERO */
};

/* All bytes are zero, and the file does not have them. */
#define PIECE_ZERO UINT64_MAX

struct pieces {
	struct piece *list;
	size_t num;
};

MUST_CHECK struct gdump_error *pieces_add(struct pieces *ps, uint64_t paddr, uint64_t size,
					  uint64_t off);
/* By address; false: some overlap.  There the first in the file wins. */
bool pieces_sort(struct pieces *ps);
/* Drop the last page if the end of the file, which was cut short, is in it. */
void pieces_trim(struct pieces *ps, const struct bytes *in, const struct image *image);
void pieces_deinit(struct pieces *ps);

/* The index of the first one that ends above @paddr; ->num: none. */
size_t pieces_after(const struct pieces *ps, uint64_t paddr);
/* Size of all pieces together */
uint64_t pieces_bytes(const struct pieces *ps);

/* How many pages of the image's ranges no piece has */
uint64_t pieces_absent(const struct pieces *ps, const struct image *image);

/* As in struct source_ops.  Bytes that no piece has read as zero, and a page is PAGE_ABSENT if
 * no piece has any of its bytes.
 */
MUST_CHECK struct gdump_error *pieces_read(const struct pieces *ps, struct bytes *in,
					   uint64_t paddr, void *buf, size_t len);
/* @in NULL: the caller does not ask for holes. */
void pieces_scan(const struct pieces *ps, struct bytes *in, uint32_t page_size, uint64_t pfn,
		 size_t num, unsigned char *state);
uint64_t pieces_gap(const struct pieces *ps, struct bytes *in, uint32_t page_size, uint64_t pfn,
		    uint64_t num, enum page_state *state);

/* A walk over those bytes of a batch of uncompressed pages that pieces have places for, in
 * ascending order.  Begin with the first three members set.
 */
struct piece_walk {
	const struct pieces *pieces;
	const struct batch *batch;
	uint32_t page_size;
	/* private to the walk */
	size_t page;                    /* the next one to look at              */
	const unsigned char *next_data; /* of that page                         */
	const unsigned char *data;      /* the rest of a run of pages           */
	uint64_t paddr, len;
};

/* Bytes that lie in one piece. */
struct piece_part {
	size_t piece;                   /* its index                            */
	uint64_t paddr, off;
	const unsigned char *data;
	size_t len;
};

/* The next part, or false at the end. */
bool piece_walk_next(struct piece_walk *w, struct piece_part *ret);
/* Write a batch to the places that the pieces have in the file. */
MUST_CHECK struct gdump_error *pieces_store(const struct pieces *ps, struct sink *sink,
					    const struct batch *b, uint32_t page_size);
