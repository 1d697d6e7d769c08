/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * codec/zstd.c - one zstd frame for each page
 *
 * As makedumpfile 1.7.0 and later write it and crash 8.0.0 reads it: the frame has the size
 * of its content, but neither a checksum (the other codecs have none either) nor a
 * dictionary.
 */
#include "codec.h"

#ifdef HAVE_ZSTD
#include <zstd.h>

/* The context keeps its tables and its parameters from page to page. */
static void *zstd_compress_open(int level, size_t page_size)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();

	(void)page_size;
	if (ctx && !ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, level)))
		return ctx;
	ZSTD_freeCCtx(ctx);
	return NULL;
}

static size_t zstd_compress_page(void *state, void *dst, size_t cap, const void *src, size_t len)
{
	size_t n = ZSTD_compress2(state, dst, cap, src, len);

	return ZSTD_isError(n) ? 0 : n;
}

static void zstd_compress_close(void *state)
{
	ZSTD_freeCCtx(state);
}

static void *zstd_decompress_open(void)
{
	return ZSTD_createDCtx();
}

/* In one call, into its final place: so no frame can make the library allocate a window. */
static bool zstd_decompress_page(void *state, void *dst, size_t len, const void *src,
				 size_t src_len)
{
	return ZSTD_decompressDCtx(state, dst, len, src, src_len) == len;
}

static void zstd_decompress_close(void *state)
{
	ZSTD_freeDCtx(state);
}
#endif

const struct codec codec_zstd = {
	.name = "zstd",
	.kdump_flag = 0x20,
	.min_level = -100,
	.max_level = 22,
	.default_level = 1,
	.live_level = -1,
#ifdef HAVE_ZSTD
	.library = "libzstd " ZSTD_VERSION_STRING,
	.compress_open = zstd_compress_open,
	.compress = zstd_compress_page,
	.compress_close = zstd_compress_close,
	.decompress_open = zstd_decompress_open,
	.decompress = zstd_decompress_page,
	.decompress_close = zstd_decompress_close,
#endif
};
