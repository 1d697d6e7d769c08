/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * checksum.h - the checksum at the end of our dumps, for gdump_verify()
 *
 * Readers of ELF and kdump go by the offsets in the headers and never look past the last
 * page.  There we put a CRC-32 for each region of the file and one for these, so that a bit
 * that flips anywhere is found, and where:
 *
 *     u32 crc[regions]        of each region, the last one as if zeros followed, without the
 *                             usual inversions: the CRC of zeros is zero
 *     footer, 64 bytes:
 *      0  "GDUMPSUM"
 *      8  u32 version, 2
 *     12  u32 bytes of a region, a power of two from 4 KiB to 1 MiB
 *     16  u64 bytes of the file before crc[]
 *     24  u64 regions
 *     32  24 bytes of zeros
 *     56  u32 CRC-32 of crc[], the usual one
 *     60  u32 CRC-32 of the footer up to here, the usual one
 *
 * Version 1 had regions of 1 MiB only.  Small regions tell which pages are broken; they are
 * larger where there would be more than 16 million.
 *
 * The file's header says that there is a checksum, so that it cannot get lost unnoticed: see
 * CHECKSUM_MARK.
 *
 * All is little-endian.  The offsets are those of the plain file, even if it is flattened.
 * It detects accidents, not attacks: an attacker can change the checksum too.
 *
 * A CRC is linear: pieces may be added from any thread in any order, holes cost nothing,
 * and nothing is read again.  CRCs are XORed: adding the same bytes a second time removes them.
 */
#pragma once

#include "bytes/bytes.h"
#include "util/spans.h"

struct checksum;

/* For a file of about @size bytes.  NULL: no memory */
struct checksum *checksum_create(uint64_t size);
void checksum_destroy(struct checksum *c);
/* [off, off + len) of the file is @buf.  false: no memory */
bool checksum_add(struct checksum *c, uint64_t off, const void *buf, size_t len);
/* What belongs after the @size bytes of the file; freed by the caller.  @c is as it was created then. */
MUST_CHECK struct gdump_error *checksum_finish(struct checksum *c, uint64_t size, void **ret,
					       size_t *len);

/* The checksum of a file, as it is read */
struct checksum_list {
	uint64_t size;                  /* bytes of the file without its checksum */
	uint64_t num;                   /* regions                              */
	uint32_t region;                /* bytes of each but the last           */
	uint32_t crc;                   /* of the list                          */
	unsigned char *crcs;            /* the list; to be freed                */
};

/* Whether @in has a checksum, and all of @l but the list; an error if that is broken. */
MUST_CHECK struct gdump_error *checksum_list_find(struct checksum_list *l, struct bytes *in,
						  bool *ret);
MUST_CHECK struct gdump_error *checksum_list_load(struct checksum_list *l, struct bytes *in);
size_t checksum_list_region_size(const struct checksum_list *l, uint64_t i);
/* Whether region @i has these bytes; NULL: zeros. */
bool checksum_list_fits(const struct checksum_list *l, uint64_t i, const void *buf);
/* The error for @len bytes at @off that do not fit; @more: others do not, either. */
MUST_CHECK struct gdump_error *checksum_mismatch(uint64_t off, uint64_t len, bool more);

/* Whether @in has one; an error if that is broken, or does not fit what is in front of it.
 * @broken: the bytes that do not fit, sorted; there are some only with an error.
 */
MUST_CHECK struct gdump_error *checksum_verify(struct bytes *in, unsigned int threads,
					       struct spans *broken, bool *ret);
