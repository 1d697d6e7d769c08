/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kdump_source.h - an open kdump file: what the files that read it share
 *
 *     kdump_read.c    opens it: headers, notes and bitmap 1
 *     kdump_descs.c   which pages it has, and where: bitmap 2 and the descriptors
 *     kdump_pages.c   the pages themselves
 *     kdump_proof.c   whether bitmaps, descriptors and data agree
 */
#pragma once

#include "kdump.h"

struct kdump_source {
	struct source source;
	struct kdump_part *parts;       /* ascending                            */
	size_t num_parts;
	struct bytes *in;               /* of the first part                    */
	struct kdump_header header;
	struct kdump_sub sub;
	struct kdump_layout layout;
	uint64_t max_mapnr;
	unsigned char *bitmap;          /* bitmap 2: the page is in the file    */
	uint64_t *rank;                 /* pages in the file below every 4096th */
	uint64_t num_pages;
	uint32_t codec_flags;           /* that descriptors may have            */
};

struct kdump_desc {
	uint64_t off;
	uint32_t size, flags;
};

/* Read bitmap 2 and look at each part: bitmap, rank, num_pages, layout. */
MUST_CHECK struct gdump_error *kdump_read_bitmap(struct kdump_source *k);

/* Whether block @pfn is in the dump. */
bool kdump_has(const struct kdump_source *k, uint64_t pfn);
/* How many blocks from @pfn on, at most @max, are in the dump, and in one part. */
size_t kdump_count_there(const struct kdump_source *k, uint64_t pfn, size_t max);
/* How many from @pfn on, at most @max, are not. */
uint64_t kdump_count_absent(const struct kdump_source *k, uint64_t pfn, uint64_t max);
const struct kdump_part *kdump_part_of(const struct kdump_source *k, uint64_t pfn);
/* "page 0x...: " in front. */
struct gdump_error *kdump_page_error(struct gdump_error *err, uint64_t pfn);

/* Read the descriptors of @num blocks from @pfn on, all in @part.  kdump_good_descs() also
 * checks that each is valid and points to data in the file.
 */
MUST_CHECK struct gdump_error *kdump_read_descs(struct kdump_source *k,
						const struct kdump_part *part, uint64_t pfn,
						size_t num, struct kdump_desc *ret);
MUST_CHECK struct gdump_error *kdump_good_descs(struct kdump_source *k,
						const struct kdump_part *part, uint64_t pfn,
						size_t num, struct kdump_desc *ret);
bool kdump_is_shared_zero(const struct kdump_source *k, const struct kdump_part *part,
			  const struct kdump_desc *d);
/* Whether its data was never written, or lies past the end of a file that was cut short. */
bool kdump_is_lost(const struct kdump_part *part, const struct kdump_desc *d);
/* How many of the dump's blocks are lost. */
uint64_t kdump_count_lost(const struct kdump_source *k);

/* How many blocks have their descriptors in @part. */
uint64_t kdump_count_descs(const struct kdump_source *k, const struct kdump_part *part);
/* @num descriptors of the table of @part, from the @index-th on. */
MUST_CHECK struct gdump_error *kdump_read_table(const struct kdump_source *k,
						const struct kdump_part *part, uint64_t index,
						size_t num, struct kdump_desc *ret);

/* Fail unless the blocks [@first, @first + @num) that bitmap 2 has are in @bits, which is
 * bitmap 1 from there on; NULL: all of it is 0.
 */
MUST_CHECK struct gdump_error *kdump_check_inside(const struct kdump_source *k,
						  const unsigned char *bits, uint64_t first,
						  uint64_t num);
/* Fail if bits are set from max_mapnr on. */
MUST_CHECK struct gdump_error *kdump_check_top(const struct kdump_source *k);
/* Fail unless page data begins after as many descriptors as bitmap 2 has bits. */
MUST_CHECK struct gdump_error *kdump_check_count(struct kdump_source *k);

/* Of struct source_ops. */
struct gdump_error *kdump_verify(struct source *s, struct damage *to);
struct gdump_error *kdump_affected(struct source *s, const struct bytes *file,
				   const struct spans *broken, struct damage *to);
struct gdump_error *kdump_read(struct source *s, uint64_t paddr, void *buf, size_t len);
struct gdump_error *kdump_scan(struct source *s, uint64_t pfn, size_t num, unsigned char *state,
			       bool holes);
uint64_t kdump_gap(struct source *s, uint64_t pfn, uint64_t num, enum page_state *state);
bool kdump_stored(struct source *s, uint64_t pfn, size_t num, uint32_t flag, void *buf,
		  struct stored_page *ret);
