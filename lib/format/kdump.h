/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kdump.h - the kdump-compressed format: what its reader and its writer share
 *
 *     block 0             main header
 *     block 1 ..          sub-header, directly followed by the notes
 *     block 1 + S         bitmap 1: the page is RAM         (half of the
 *     ...                 bitmap 2: the page is in the file  bitmap blocks)
 *     block 1 + S + B     page descriptors, one for each bit of bitmap 2
 *     after them          page data
 *
 * A dump may be split into several files.  Each has the main header, notes and bitmaps of all
 * pages, and a table with room for all descriptors; but it has only the pages from start_pfn
 * to end_pfn, whose descriptors come first in its table.
 *
 * Facts: makedumpfile's diskdump_mod.h and IMPLEMENTATION, crash's diskdump.h.
 */
#pragma once

#include "format.h"
#include "../util/cursor.h"

enum {
	KDUMP_MAX_VERSION = 6,
	KDUMP_MIN_BLOCK = 4096,
	KDUMP_MAX_BLOCK = 262144,
	KDUMP_DESC_SIZE = 24,
	/* in the header, beside the kdump_flag of a codec */
	KDUMP_INCOMPLETE = 0x08,
	KDUMP_NO_VMEMMAP = 0x10,        /* struct page was omitted              */
	KDUMP_HEAD_SIZE = 464,          /* of the larger main header            */
	KDUMP_SUB_SIZE = 104,           /* of the largest sub-header            */
};

struct kdump_header {
	bool big, is64;
	bool diskdump;                  /* the format that kdump comes from     */
	uint32_t version, status, block_size, sub_hdr_size, bitmap_blocks, max_mapnr, nr_cpus;
	uint64_t tv_sec;
	char sysname[UTS_LEN], nodename[UTS_LEN], release[UTS_LEN], uts_version[UTS_LEN],
	     machine[UTS_LEN], domainname[UTS_LEN];
};

struct kdump_sub {
	bool padded;                    /* 32 bit: 64-bit fields are aligned    */
	uint64_t phys_base;
	uint32_t dump_level, split;
	uint64_t start_pfn, end_pfn, max_mapnr;
	uint64_t off_vmcoreinfo, size_vmcoreinfo;
	uint64_t off_note, size_note;
	uint64_t off_eraseinfo, size_eraseinfo;
};

/* Offsets of everything */
struct kdump_layout {
	uint64_t bitmap1, bitmap2, bitmap_size, desc, data;
};

static inline struct kdump_layout kdump_layout(const struct kdump_header *h, uint64_t max_mapnr,
					       uint64_t num_pages)
{
	const uint64_t bs = h->block_size;
	/* very old files have one bitmap for both */
	const bool two = h->bitmap_blocks / 2 * bs * 8 >= max_mapnr;
	struct kdump_layout l;

	l.bitmap_size = h->bitmap_blocks / (two ? 2 : 1) * bs;
	l.bitmap1 = (1 + (uint64_t)h->sub_hdr_size) * bs;
	l.bitmap2 = l.bitmap1 + (two ? l.bitmap_size : 0);
	l.desc = l.bitmap1 + h->bitmap_blocks * bs;
	l.data = l.desc + num_pages * KDUMP_DESC_SIZE;
	return l;
}

/* The end of the main header's block is padding, which readers ignore: there is CHECKSUM_MARK. */
static inline uint64_t kdump_mark_off(const struct kdump_header *h)
{
	return h->block_size - CHECKSUM_MARK_SIZE;
}

static inline size_t kdump_sub_size(bool is64, bool padded)
{
	return is64 ? 104 : padded ? 96 : 80;
}

/* Read both headers, and check that the layout they describe is possible in the file. */
MUST_CHECK struct gdump_error *kdump_read_headers(struct bytes *in, struct kdump_header *h,
						  struct kdump_sub *s);

/* A file of a dump, and the pages whose data it has. */
struct kdump_part {
	struct bytes *in;
	const char *name;
	uint64_t start, end;
	uint64_t rank;                  /* pages in the dump below @start       */
	bool shared_zero;               /* its page at layout.data is zero, and shared */
};

/* Sort the parts of a dump; fail unless they belong together and are complete. */
MUST_CHECK struct gdump_error *kdump_check_parts(struct kdump_part *parts, size_t num,
						 const struct kdump_sub *s);

bool kdump_takes_trailer(const struct image *image);
struct gdump_error *kdump_create(const struct write_spec *spec, struct writer **ret);
