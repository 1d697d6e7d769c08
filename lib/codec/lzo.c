/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * codec/lzo.c - LZO1X-1, what makedumpfile and QEMU call lzo
 *
 * liblzo2 is under the GPL, so a build may be without it: -Dlzo=disabled.
 */
#include "codec.h"

#ifdef HAVE_LZO
#include <lzo/lzo1x.h>
#include <stdlib.h>
#include <string.h>

/* The library ignores the size of the destination, so pages are first compressed into a
 * buffer that is large enough for the worst case.
 */
struct lzo_compressor {
	unsigned char *buf;
	lzo_align_t work[LZO1X_1_MEM_COMPRESS / sizeof(lzo_align_t) + 1];
};

static void lzo_compress_close(void *state)
{
	struct lzo_compressor *p = state;

	free(p->buf);
	free(p);
}

static void *lzo_compress_open(int level, size_t page_size)
{
	struct lzo_compressor *p = calloc(1, sizeof(*p));

	(void)level;
	if (!p)
		return NULL;
	p->buf = malloc(page_size + page_size / 16 + 64 + 3);
	if (p->buf && lzo_init() == LZO_E_OK)
		return p;
	lzo_compress_close(p);
	return NULL;
}

static size_t lzo_compress_page(void *state, void *dst, size_t cap, const void *src, size_t len)
{
	struct lzo_compressor *p = state;
	lzo_uint n = 0;

	if (lzo1x_1_compress(src, len, p->buf, &n, p->work) != LZO_E_OK || n > cap)
		return 0;
	memcpy(dst, p->buf, n);
	return n;
}

/* Decompression needs no state, but NULL would mean "out of memory". */
static void *lzo_decompress_open(void)
{
	static char none;

	return lzo_init() == LZO_E_OK ? &none : NULL;
}

static bool lzo_decompress_page(void *state, void *dst, size_t len, const void *src, size_t src_len)
{
	lzo_uint n = len;

	(void)state;
	return lzo1x_decompress_safe(src, src_len, dst, &n, NULL) == LZO_E_OK && n == len;
}

static void lzo_decompress_close(void *state)
{
	(void)state;
}
#endif

const struct codec codec_lzo = {
	.name = "lzo",
	.kdump_flag = 0x02,
	.min_level = 1,
	.max_level = 1,
	.default_level = 1,
	.live_level = 1,
#ifdef HAVE_LZO
	.library = "liblzo2 " LZO_VERSION_STRING,
	.compress_open = lzo_compress_open,
	.compress = lzo_compress_page,
	.compress_close = lzo_compress_close,
	.decompress_open = lzo_decompress_open,
	.decompress = lzo_decompress_page,
	.decompress_close = lzo_decompress_close,
#endif
};
