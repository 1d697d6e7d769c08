/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pagedeflate.c - our own encoder: any page becomes what zlib, libdeflate and ISA-L agree on
 *
 * The input is repeated until it fills a page.  The page and the room for the result end
 * where their memory ends, so that a sanitizer sees an access outside of them.
 */
#include "fuzz.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "codec/igzip.h"
#include "codec/pagedeflate.h"

enum { PAGE_LEN = PAGEDEFLATE_PAGE };

static void read_with_zlib(const uint8_t *stream, size_t size, uint8_t *ret)
{
	uLongf len = PAGE_LEN;
	const int rc = uncompress(ret, &len, stream, (uLong)size);

	if (rc != Z_OK || len != PAGE_LEN)
		fuzz_die("zlib: %d, %lu bytes", rc, len);
}

static void read_with_libdeflate(const uint8_t *stream, size_t size, uint8_t *ret)
{
	static struct libdeflate_decompressor *d;
	size_t used, len;

	if (!d)
		d = libdeflate_alloc_decompressor();
	if (libdeflate_zlib_decompress_ex(d, stream, size, ret, PAGE_LEN, &used, &len) ||
	    used != size || len != PAGE_LEN)
		fuzz_die("libdeflate cannot read it");
}

static void read_with_isal(const uint8_t *stream, size_t size, uint8_t *ret)
{
#ifdef HAVE_ISAL
	static struct inflate_state s;

	isal_inflate_init(&s);
	s.crc_flag = ISAL_ZLIB;
	s.next_in = (uint8_t *)(uintptr_t)stream;
	s.avail_in = (uint32_t)size;
	s.next_out = ret;
	s.avail_out = PAGE_LEN;
	if (isal_inflate(&s) != ISAL_DECOMP_OK || s.block_state != ISAL_BLOCK_FINISH ||
	    s.total_out != PAGE_LEN)
		fuzz_die("ISA-L cannot read it");
#else
	read_with_zlib(stream, size, ret);
#endif
}

static void check_stream(const uint8_t *stream, size_t size, const uint8_t *page)
{
	static void (*const readers[])(const uint8_t *, size_t, uint8_t *) = {
		read_with_zlib, read_with_libdeflate, read_with_isal,
	};
	uint8_t *again = malloc(PAGE_LEN);

	for (size_t i = 0; again && i < sizeof(readers) / sizeof(*readers); i++) {
		memset(again, 0x5a, PAGE_LEN);
		readers[i](stream, size, again);
		if (memcmp(again, page, PAGE_LEN))
			fuzz_die("reader %zu finds another page", i);
	}
	free(again);
}

void fuzz_pagedeflate(const uint8_t *data, size_t size)
{
	static struct pagedeflate *used;
	struct pagedeflate *fresh = pagedeflate_open();
	uint8_t *page = malloc(PAGE_LEN), *out = malloc(PAGE_LEN), *tight;
	size_t len;

	if (!used)
		used = pagedeflate_open();
	for (size_t i = 0; i < PAGE_LEN; i++)
		page[i] = size ? data[i % size] : 0;
	len = pagedeflate_compress(used, out, PAGE_LEN, page);
	if (len >= PAGE_LEN)
		fuzz_die("%zu bytes", len);
	if (len) {
		check_stream(out, len, page);
		tight = malloc(len);
		if (pagedeflate_compress(fresh, tight, len, page) != len || memcmp(tight, out, len))
			fuzz_die("what was compressed before makes a difference");
		if (pagedeflate_compress(fresh, tight, len - 1, page))
			fuzz_die("more bytes than there is room for");
		free(tight);
	}
	free(out);
	free(page);
	pagedeflate_close(fresh);
}
