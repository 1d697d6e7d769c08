/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pieces.h - pieces of guest-physical memory that lie decompressed in a file
 *
 * What ELF cores, LiME, raw files and Windows dumps have in common, for reading
 * and for writing.  A list is filled with pieces_add(), put in order with
 * pieces_sort(), and read-only from then on.
 */
#pragma once

#include "../bytes/bytes.h"
#include "../write/writer.h"

struct piece {
	uint64_t paddr, size;           /* size is above 0                      */
	uint64_t off;                   /* of its bytes in the file             */
};

struct pieces {
	struct piece *list;
	size_t num;
};

MUST_CHECK struct gdump_error *pieces_add(struct pieces *ps, uint64_t paddr, uint64_t size,
					  uint64_t off);
/* By address; false: some overlap.  There the first in the file wins. */
bool pieces_sort(struct pieces *ps);
/* A page of which the end of the file has left a part only is not there. */
void pieces_trim(struct pieces *ps, const struct bytes *in, const struct image *image);
void pieces_deinit(struct pieces *ps);

/* The first one that ends behind @paddr; ->num: none. */
size_t pieces_after(const struct pieces *ps, uint64_t paddr);
/* Bytes of all */
uint64_t pieces_bytes(const struct pieces *ps);

/* Pages of the image's ranges that no piece has */
uint64_t pieces_absent(const struct pieces *ps, const struct image *image);

/* As struct source_ops has them: bytes that no piece has read as zero, pages of
 * which none has a byte are PAGE_ABSENT.
 */
MUST_CHECK struct gdump_error *pieces_read(const struct pieces *ps, struct bytes *in,
					   uint64_t paddr, void *buf, size_t len);
/* @in NULL: the caller does not care for holes. */
void pieces_scan(const struct pieces *ps, struct bytes *in, uint32_t page_size, uint64_t pfn,
		 size_t num, unsigned char *state);
uint64_t pieces_gap(const struct pieces *ps, struct bytes *in, uint32_t page_size, uint64_t pfn,
		    uint64_t num, enum page_state *state);

/* A walk over the parts of a batch of raw pages that pieces have places for, in
 * ascending order.  Begin with the first three members set.
 */
struct piece_walk {
	const struct pieces *pieces;
	const struct batch *batch;
	uint32_t page_size;
	/* the walk's own */
	size_t page;                    /* not looked at yet                    */
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
/* Write a whole batch. */
MUST_CHECK struct gdump_error *pieces_store(const struct pieces *ps, struct sink *sink,
					    const struct batch *b, uint32_t page_size);
