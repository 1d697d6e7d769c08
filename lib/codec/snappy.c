/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * codec/snappy.c - snappy's raw blocks, without the framing of .sz files
 */
#include "codec.h"

#ifdef HAVE_SNAPPY
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

/* The library wants room for the worst case, so it packs to here first. */
struct snappy_packer {
	size_t room;
	char *buf;
};

static void snappy_pack_close(void *state)
{
	struct snappy_packer *p = state;

	free(p->buf);
	free(p);
}

static void *snappy_pack_open(int level, size_t page_size)
{
	struct snappy_packer *p = calloc(1, sizeof(*p));

	(void)level;
	if (!p)
		return NULL;
	p->room = snappy_max_compressed_length(page_size);
	p->buf = malloc(p->room);
	if (p->buf)
		return p;
	snappy_pack_close(p);
	return NULL;
}

static size_t snappy_pack(void *state, void *dst, size_t cap, const void *src, size_t len)
{
	struct snappy_packer *p = state;
	size_t n = p->room;

	if (snappy_compress(src, len, p->buf, &n) != SNAPPY_OK || n > cap)
		return 0;
	memcpy(dst, p->buf, n);
	return n;
}

/* Unpacking needs no memory; the pipeline wants a state all the same. */
static void *snappy_unpack_open(void)
{
	static char none;

	return &none;
}

static bool snappy_unpack(void *state, void *dst, size_t len, const void *src, size_t src_len)
{
	size_t n;

	(void)state;
	if (snappy_uncompressed_length(src, src_len, &n) != SNAPPY_OK || n != len)
		return false;
	return snappy_uncompress(src, src_len, dst, &n) == SNAPPY_OK && n == len;
}

static void snappy_unpack_close(void *state)
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
	.hasty_level = 1,
#ifdef HAVE_SNAPPY
	.library = "libsnappy " SNAPPY_VERSION_TEXT,
	.pack_open = snappy_pack_open,
	.pack = snappy_pack,
	.pack_close = snappy_pack_close,
	.unpack_open = snappy_unpack_open,
	.unpack = snappy_unpack,
	.unpack_close = snappy_unpack_close,
#endif
};
