/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * ranges.h - the text beside a raw file that says which memory it has, and where
 *
 *     guestdump-ranges 1
 *     size 4294967296
 *     machine x86_64
 *     byte-order little
 *     page-size 4096
 *     0x0:0xa0000@0x0 ram
 *     0xc0000:0xff40000@0xc0000 ram
 *
 * The first line is always the same.  It is followed, in any order, by settings (the size of the
 * raw file, the machine, its byte order and its page size; "incomplete" alone if memory is missing
 * from the file and zero there), each of which may be absent, and by
 * a line for each range: address, size, offset in the file, and kind ("ram", the default, or
 * "device").  Numbers are decimal, or hexadecimal with 0x.  Empty lines and lines that begin
 * with # are ignored.
 */
#pragma once

#include "../bytes/bytes.h"
#include "../machine/image.h"

/* One line: where a range of memory is in the file */
struct ranges_entry {
	uint64_t paddr, size, off;
	uint32_t kind;                  /* enum gdump_range_kind                */
};

struct ranges {
	struct ranges_entry *list;
	size_t num;
	uint64_t file_size;             /* 0: not known                         */
	uint32_t page_size;             /* 0: not known                         */
	uint16_t machine;               /* 0: not known                         */
	bool big;
	bool incomplete;
};

void ranges_deinit(struct ranges *r);
MUST_CHECK struct gdump_error *ranges_add(struct ranges *r, const struct ranges_entry *entry);
MUST_CHECK struct gdump_error *ranges_parse(const char *text, size_t len, struct ranges *ret);
/* The text of @r, to be freed; NULL: out of memory. */
char *ranges_text(const struct ranges *r);
/* Load the file beside @path; *@found false: there is none. */
MUST_CHECK struct gdump_error *ranges_load(const char *path, struct ranges *ret, bool *found);
/* The same from a file that is open */
MUST_CHECK struct gdump_error *ranges_read(struct bytes *in, struct ranges *ret);
/* "PATH.ranges", to be freed; NULL: out of memory. */
char *ranges_path(const char *path);

static inline void ranges_cleanup(struct ranges *r)
{
	ranges_deinit(r);
}
#define CLEANUP_RANGES __attribute__((__cleanup__(ranges_cleanup)))
