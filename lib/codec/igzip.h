/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * igzip.h - zlib's level 0: ISA-L's deflate with fixed Huffman codes
 *
 * 1.6 times as fast as level 1, see pagedeflate.h, and a seventh larger.  The
 * library chooses its code by the CPU, so that bytes may differ from one kind
 * of host to another.  Without the library igzip_open() gives NULL.
 */
#pragma once

#include <stddef.h>

#ifdef HAVE_ISAL
#include <isa-l.h>

#define IGZIP_STRING_(x) #x
#define IGZIP_STRING(x) IGZIP_STRING_(x)
#define IGZIP_LIBRARY ", ISA-L " IGZIP_STRING(ISAL_MAJOR_VERSION) "." \
	IGZIP_STRING(ISAL_MINOR_VERSION) "." IGZIP_STRING(ISAL_PATCH_VERSION)
enum { IGZIP_MIN_LEVEL = 0 };
#else
#define IGZIP_LIBRARY ""
enum { IGZIP_MIN_LEVEL = 1 };
#endif

struct igzip;

/* NULL: out of memory. */
struct igzip *igzip_open(void);
/* As struct codec's compress() */
size_t igzip_compress(struct igzip *z, void *dst, size_t cap, const void *src, size_t len);
/* NULL is fine. */
void igzip_close(struct igzip *z);
