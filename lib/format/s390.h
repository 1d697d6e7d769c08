/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * s390.h - stand-alone dumps of s390x: what zipl's dump tools and zgetdump write
 *
 *     header (4096), memory from address 0 on, end marker (16); big-endian
 *
 *       0  8  magic           12  4  size of the header     16  4  4, the level
 *       8  4  version         20  4  page size              24  8  bytes of memory
 *      32  8  0, its start    40  8  its last byte          48  4  pages
 *      56  8  TOD clock       64  8  ID of the CPU          72  4  2: 64 bits
 *      84  8  memory of the machine                         92  1  one of several volumes
 *      93  2  CPUs            95  2  CPUs of the machine
 *    2048  4  prefix of each CPU, up to 512
 *
 * Holes in memory are zero.  Registers are stored only in memory: those of a CPU in its prefix
 * pages, where it stores them itself, and its vector registers where these pages say.
 * Registers without a place there are lost: those of guarded storage.  The end marker is
 * "DUMP_END" and the clock; a file without it is truncated.
 *
 * The extended form has segments instead of all memory: each is a page that says where the
 * segment lies, followed by its bytes.  Memory between segments is zero.  To read compressed
 * segments, one has to know the block size of the disk that they were on, so they are not
 * supported.
 *
 * Facts: s390-tools' include/dump/s390_dump.h and zdump/; z/Architecture's Principles of
 * Operation for the prefix pages.
 */
#pragma once

#include "../machine/source.h"
#include "../write/writer.h"

enum {
	S390_HEADER = 4096, S390_END = 16, S390_PAGE = 4096,
	S390_ARCH_64 = 2,
	S390_CUT_SHORT_OFF = 504,       /* in a reserved area that others ignore */
	S390_PREFIXES_OFF = 2048, S390_CPUS = 512,
	S390_PREFIX_PAGES = 0x2000,
	S390_VECTORS = 512,
};

#define S390_MAGIC 0xa8190173618f23fdu
#define S390_MAGIC_EXTENDED (S390_MAGIC + 1)
#define S390_END_MARK "DUMP_END"
#define S390_CUT_SHORT "cutshort"

/* TOD clock at 1970, and its units in a microsecond */
#define S390_TOD_1970 0x7d91048bca000000u
enum { S390_TOD_US = 4096 };

/* Notes in the order in which zgetdump writes them */
enum { PRSTATUS, FPREGSET, TIMER, TODCMP, TODPREG, CTRS, PREFIX, VXRS_LOW, VXRS_HIGH };
enum { S390_NUM_NOTES = VXRS_HIGH + 1, S390_NUM_SAVED = 10 };

extern const struct s390_note {
	const char *name;
	uint32_t type;
	uint16_t size;
} s390_notes[S390_NUM_NOTES];

/* Where a CPU's registers are: in its prefix pages, and in its notes */
extern const struct s390_saved {
	uint16_t saved, note, off, len;
} s390_saved[S390_NUM_SAVED];

/* The address of the vector registers of a CPU with these prefix pages; 0: there are none. */
MUST_CHECK struct gdump_error *s390_find_vectors(struct source *s, uint64_t prefix, uint64_t *ret);

MUST_CHECK struct gdump_error *s390_create(const struct write_spec *spec, struct writer **ret);
MUST_CHECK struct gdump_error *s390_check(struct source *s, const struct gdump_plan *plan);
