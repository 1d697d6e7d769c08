/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * codec/snappy.c - snappy's raw blocks, without the framing of .sz files
 */
#include "codec.h"

#ifdef HAVE_SNAPPY
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

/* The library requires room for the worst case, so pages are first compressed into a buffer
 * that has it.
 */
struct snappy_compressor {
	size_t room;
	char *buf;
};

static void snappy_compress_close(void *state)
{
	struct snappy_compressor *p = state;

	free(p->buf);
	free(p);
}

static void *snappy_compress_open(int level, size_t page_size)
{
	struct snappy_compressor *p = calloc(1, sizeof(*p));

	(void)level;
	if (!p)
		return NULL;
	p->room = snappy_max_compressed_length(page_size);
	p->buf = malloc(p->room);
	if (p->buf)
		return p;
	snappy_compress_close(p);
	return NULL;
}

static size_t snappy_compress_page(void *state, void *dst, size_t cap, const void *src, size_t len)
{
	struct snappy_compressor *p = state;
	size_t n = p->room;

	if (snappy_compress(src, len, p->buf, &n) != SNAPPY_OK || n > cap)
		return 0;
	memcpy(dst, p->buf, n);
	return n;
}

/* Decompression needs no state, but NULL would mean "out of memory". */
static void *snappy_decompress_open(void)
{
	static char none;

	return &none;
}

static bool snappy_decompress_page(void *state, void *dst, size_t len, const void *src,
				   size_t src_len)
{
	size_t n;

	(void)state;
	if (snappy_uncompressed_length(src, src_len, &n) != SNAPPY_OK || n != len)
		return false;
	return snappy_uncompress(src, src_len, dst, &n) == SNAPPY_OK && n == len;
}

static void snappy_decompress_close(void *state)
{
	(void)state;
}
#endif

const struct codec codec_snappy = {
	.name = "snappy",
	.kdump_flag = 0x04,
	.min_level = 1,
	.max_level = 1,
	.default_level = 1,
	.live_level = 1,
#ifdef HAVE_SNAPPY
	.library = "libsnappy " SNAPPY_VERSION_TEXT,
	.compress_open = snappy_compress_open,
	.compress = snappy_compress_page,
	.compress_close = snappy_compress_close,
	.decompress_open = snappy_decompress_open,
	.decompress = snappy_decompress_page,
	.decompress_close = snappy_decompress_close,
#endif
};
