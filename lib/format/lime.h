/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * lime.h - the record header that LiME and AVML share, 32 bytes, little-endian
 *
 *      0  u32 magic            bytes "EMiL" (LiME) or "AVML"
 *      4  u32 version          1 (LiME) or 2 (AVML)
 *      8  u64 first address
 *     16  u64 last address     inclusive
 *     24  u8[8] reserved       0, or "cutshort" in a file of ours that is incomplete
 *
 * Records follow each other until the end of the file; there is no count, no
 * trailer, no machine and no register.  Source: LiME's src/lime.h and main.c,
 * AVML's src/image.rs.
 */
#pragma once

#include "pieces.h"

enum { LIME_HEADER_SIZE = 32 };

#define LIME_MAGIC 0x4c694d45u
#define AVML_MAGIC 0x4c4d5641u

struct lime_record {
	uint64_t paddr, size;           /* size is above 0                      */
	bool cut_short;
};

/* Read the header at @off and check that it is of @magic and @version. */
MUST_CHECK struct gdump_error *lime_get_record(struct bytes *in, uint64_t off, uint32_t magic,
					       uint32_t version, struct lime_record *ret);
