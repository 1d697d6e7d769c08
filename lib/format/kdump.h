/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kdump.h - the kdump-compressed format, as reader and writer share it
 *
 *     block 0             main header
 *     block 1 ..          sub header, directly followed by the notes
 *     block 1 + S         bitmap 1: the page is RAM         (half of the
 *     ...                 bitmap 2: the page is in the file  bitmap blocks)
 *     block 1 + S + B     page descriptors, one for each bit of bitmap 2
 *     behind them         page data
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
	KDUMP_PACKED_MASK = 0x27,       /* zlib, lzo, snappy, zstd              */
	KDUMP_INCOMPLETE = 0x08,
	KDUMP_HEAD_SIZE = 464,          /* of the larger main header            */
	KDUMP_SUB_SIZE = 104,           /* of the largest sub header            */
};

struct kdump_header {
	bool big, is64;
	uint32_t version, status, block_size, sub_hdr_size, bitmap_blocks, max_mapnr, nr_cpus;
	uint64_t tv_sec;
	char sysname[UTS_LEN], nodename[UTS_LEN], release[UTS_LEN], uts_version[UTS_LEN],
	     machine[UTS_LEN], domainname[UTS_LEN];
};

struct kdump_sub {
	uint64_t phys_base;
	uint32_t dump_level, split;
	uint64_t start_pfn, end_pfn, max_mapnr;
	uint64_t off_vmcoreinfo, size_vmcoreinfo;
	uint64_t off_note, size_note;
	uint64_t off_eraseinfo, size_eraseinfo;
};

/* Where everything is. */
struct kdump_layout {
	uint64_t bitmap1, bitmap2, bitmap_size, desc, data;
};

static inline struct kdump_layout kdump_layout(const struct kdump_header *h, uint64_t num_pages)
{
	const uint64_t bs = h->block_size;
	struct kdump_layout l;

	l.bitmap_size = h->bitmap_blocks / 2 * bs;
	l.bitmap1 = (1 + (uint64_t)h->sub_hdr_size) * bs;
	l.bitmap2 = l.bitmap1 + l.bitmap_size;
	l.desc = l.bitmap1 + h->bitmap_blocks * bs;
	l.data = l.desc + num_pages * KDUMP_DESC_SIZE;
	return l;
}

static inline size_t kdump_sub_size(bool is64)
{
	return is64 ? 104 : 80;
}

struct gdump_error *kdump_create(const struct write_spec *spec, struct writer **ret);
