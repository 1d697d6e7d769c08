/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * codec/zlib.c - deflate with zlib's framing, which every reader has
 *
 * Packed and unpacked by libdeflate, which takes a whole page at a time and is
 * several times faster than zlib itself; zlib's uncompress() reads all of it.
 */
#include "codec.h"

#include <libdeflate.h>

static void *zlib_pack_open(int level, size_t page_size)
{
	(void)page_size;
	return libdeflate_alloc_compressor(level);
}

static size_t zlib_pack(void *state, void *dst, size_t cap, const void *src, size_t len)
{
	return libdeflate_zlib_compress(state, src, len, dst, cap);
}

static void zlib_pack_close(void *state)
{
	libdeflate_free_compressor(state);
}

static void *zlib_unpack_open(void)
{
	return libdeflate_alloc_decompressor();
}

static bool zlib_unpack(void *state, void *dst, size_t len, const void *src, size_t src_len)
{
	/* without a place for the length it must be exactly @len */
	return libdeflate_zlib_decompress(state, src, src_len, dst, len, NULL) ==
	       LIBDEFLATE_SUCCESS;
}

static void zlib_unpack_close(void *state)
{
	libdeflate_free_decompressor(state);
}

const struct codec codec_zlib = {
	.name = "zlib",
	.library = "libdeflate " LIBDEFLATE_VERSION_STRING,
	.kdump_flag = 0x01,
	.min_level = 1,
	.max_level = 12,
	.default_level = 1,
	.pack_open = zlib_pack_open,
	.pack = zlib_pack,
	.pack_close = zlib_pack_close,
	.unpack_open = zlib_unpack_open,
	.unpack = zlib_unpack,
	.unpack_close = zlib_unpack_close,
};
