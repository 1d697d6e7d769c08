/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * codec/zlib.c - deflate with zlib's framing, which every reader has
 *
 * libdeflate compresses and decompresses a page in one call, several times faster than zlib
 * itself; zlib's uncompress() can read its output.  Level 0 is ISA-L's, see igzip.h, and
 * level 1 our own for pages of 4 KiB, see pagedeflate.h.
 *
 * Theory of operation of zlib_looks_random().  Encrypted or compressed memory does not get
 * smaller, but trying costs as much as for any other page.  In such memory all 256 byte
 * values are equally likely.  So a sample of the page's bytes is counted by value, and the
 * squares of the counts are added up: the more uneven the distribution, the larger the sum.
 * For n bytes of a uniform distribution each count is n/256 on average, with a variance of
 * about as much, and the 256 squares add up to n * n / 256 + n: that is EVEN(n).  Text, code
 * and tables exceed it several times, so a short sample identifies most of them; a page
 * that passes is judged by a longer one.
 */
#include "codec.h"

#include <libdeflate.h>
#include <stdint.h>
#include <stdlib.h>

#include "igzip.h"
#include "pagedeflate.h"

enum { SAMPLE_SHORT = 128, SAMPLE_LONG = 1024, SAMPLE_STEP = 37 };

/* The expected sum of squares for @n bytes whose values are all equally likely */
#define EVEN(n) ((n) * (n) / 256u + (n))

/* One of them is not NULL. */
struct zlib_compressor {
	struct libdeflate_compressor *deflate;
	struct igzip *igzip;
	struct pagedeflate *pagedeflate;
};

static void zlib_compress_close(void *state)
{
	struct zlib_compressor *p = state;

	libdeflate_free_compressor(p->deflate);
	igzip_close(p->igzip);
	pagedeflate_close(p->pagedeflate);
	free(p);
}

static void *zlib_compress_open(int level, size_t page_size)
{
	struct zlib_compressor *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	if (!level)
		p->igzip = igzip_open();
	else if (level == 1 && page_size == PAGEDEFLATE_PAGE)
		p->pagedeflate = pagedeflate_open();
	else
		p->deflate = libdeflate_alloc_compressor(level);
	if (p->deflate || p->igzip || p->pagedeflate)
		return p;
	zlib_compress_close(p);
	return NULL;
}

/* Extend the sample in @counts to @to bytes, which are spread over the page; @sum is the sum
 * of the squares so far.  Each byte raises a count from c to c + 1, and the sum by 2c + 1.
 */
static uint32_t zlib_sample(uint16_t *counts, const unsigned char *page, size_t len, uint32_t sum,
			    uint32_t to)
{
	for (uint32_t i = to == SAMPLE_SHORT ? 0 : SAMPLE_SHORT; i < to; i++) {
		uint16_t *c = &counts[page[i * SAMPLE_STEP & (len - 1)]];

		sum += 2u * *c + 1;
		(*c)++;
	}
	return sum;
}

/* Whether the page looks encrypted or compressed, so that it is not worth compressing. */
static bool zlib_looks_random(const unsigned char *page, size_t len)
{
	uint16_t counts[256] = { 0 };
	uint32_t sum;

	if (len & (len - 1) || len < SAMPLE_LONG)
		return false;
	sum = zlib_sample(counts, page, len, 0, SAMPLE_SHORT);
	if (sum > EVEN(SAMPLE_SHORT) * 3 / 2)
		return false;
	return zlib_sample(counts, page, len, sum, SAMPLE_LONG) < EVEN(SAMPLE_LONG) * 115 / 100;
}

static size_t zlib_compress_page(void *state, void *dst, size_t cap, const void *src, size_t len)
{
	struct zlib_compressor *p = state;

	if (p->igzip)
		return igzip_compress(p->igzip, dst, cap, src, len);
	if (zlib_looks_random(src, len))
		return 0;
	if (p->pagedeflate)
		return pagedeflate_compress(p->pagedeflate, dst, cap, src);
	return libdeflate_zlib_compress(p->deflate, src, len, dst, cap);
}

static void *zlib_decompress_open(void)
{
	return libdeflate_alloc_decompressor();
}

static bool zlib_decompress_page(void *state, void *dst, size_t len, const void *src,
				 size_t src_len)
{
	/* with NULL for the length, it succeeds only if the length is @len */
	return libdeflate_zlib_decompress(state, src, src_len, dst, len, NULL) ==
	       LIBDEFLATE_SUCCESS;
}

static void zlib_decompress_close(void *state)
{
	libdeflate_free_decompressor(state);
}

const struct codec codec_zlib = {
	.name = "zlib",
	.library = "libdeflate " LIBDEFLATE_VERSION_STRING IGZIP_LIBRARY,
	.kdump_flag = 0x01,
	.min_level = IGZIP_MIN_LEVEL,
	.max_level = 12,
	.default_level = 1,
	.live_level = IGZIP_MIN_LEVEL,
	.level_note = IGZIP_MIN_LEVEL ? "; level 0 is ISA-L's, which this build does not have" : "",
	.compress_open = zlib_compress_open,
	.compress = zlib_compress_page,
	.compress_close = zlib_compress_close,
	.decompress_open = zlib_decompress_open,
	.decompress = zlib_decompress_page,
	.decompress_close = zlib_decompress_close,
};
