/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * hyperv_block.c - a block of memory in a saved state of Hyper-V
 *
 * A block of 1 MiB is uncompressed.  A smaller one is a row of tokens, each for one page or some:
 *
 *     0xffffffff                       the end
 *     0xfffffffe, 8 bytes              a page of these bytes, repeated
 *     0xfffffffd, 8 bytes, u32 n       the same for n pages
 *     0xfffffffc, u32 out, u32 n, n bytes    out bytes of pages; n = out: uncompressed
 *     n, n bytes                       a page; 4096: uncompressed
 *
 * Facts: vmrs.py of Volatility; MS-XCA, 2.4 (plain LZ77).
 */
#include "hyperv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"

static const uint32_t token_end = 0xffffffff, token_fill = 0xfffffffe, token_fill_pages = 0xfffffffd,
		      token_bytes = 0xfffffffc;

struct lz77 {
	struct cursor in;
	unsigned char *half;            /* a byte of which the upper half is the next length */
	unsigned char *out;
	size_t done, size;
};

/* The length of a match, of which @first are the lower three bits of the match */
static uint64_t lz77_length(struct lz77 *z, unsigned int first)
{
	uint64_t n = first;

	if (n < 7)
		return n + 3;
	if (z->half) {
		n = *z->half >> 4;
		z->half = NULL;
	} else {
		z->half = cursor_take(&z->in, 1);
		n = z->half ? *z->half & 15 : 0;
	}
	if (n < 15)
		return n + 7 + 3;
	n = get_u8(&z->in);
	if (n < 255)
		return n + 15 + 7 + 3;
	n = get_u16(&z->in);
	n = n ? n : get_u32(&z->in);
	z->in.bad |= n < 15 + 7;
	return n + 3;
}

static bool lz77_match(struct lz77 *z)
{
	const unsigned int match = get_u16(&z->in);
	const size_t distance = (match >> 3) + 1;
	const uint64_t len = lz77_length(z, match & 7);

	if (z->in.bad || distance > z->done || len > z->size - z->done)
		return false;
	for (uint64_t i = 0; i < len; i++, z->done++)
		z->out[z->done] = z->out[z->done - distance];
	return true;
}

bool hyperv_decompress(const unsigned char *in, size_t len, unsigned char *out, size_t out_len)
{
	struct lz77 z = { .in = cursor_init(in, len, false, true), .out = out, .size = out_len };
	uint32_t flags = 0;

	for (unsigned int bit = 0; ; bit = (bit + 1) % 32) {
		if (!bit)
			flags = get_u32(&z.in);
		if (z.in.bad)
			return false;
		/* the flags after the last match or literal are set */
		if (!cursor_left(&z.in))
			return z.done == z.size;
		if (flags & 1u << (31 - bit)) {
			if (!lz77_match(&z))
				return false;
		} else {
			if (z.done == z.size)
				return false;
			out[z.done++] = get_u8(&z.in);
		}
	}
}

/* What a token says */
struct block_token {
	uint32_t pages;
	const unsigned char *fill;      /* 8 bytes, or NULL                     */
	const unsigned char *data;
	uint32_t len;                   /* of the data                          */
};

/* The next token; false: it is invalid.  No pages: it is the end. */
static bool block_next(struct cursor *c, struct block_token *t)
{
	const uint32_t token = get_u32(c);

	*t = (struct block_token){ .pages = 1 };
	if (token == token_end) {
		t->pages = 0;
		return !c->bad;
	}
	if (token == token_fill || token == token_fill_pages) {
		t->fill = cursor_take(c, 8);
		t->pages = token == token_fill ? 1 : get_u32(c);
		return !c->bad && t->pages && t->pages <= HYPERV_BLOCK_PAGES;
	}
	if (token == token_bytes) {
		const uint32_t out = get_u32(c);

		t->pages = out / HYPERV_PAGE;
		t->len = get_u32(c);
		c->bad |= !out || out % HYPERV_PAGE || out > HYPERV_BLOCK || t->len > out;
	} else {
		t->len = token;
		c->bad |= !token || token > HYPERV_PAGE;
	}
	t->data = cursor_take(c, t->len);
	return !c->bad;
}

/* All pages of a token, to @out */
static bool block_unfold(const struct block_token *t, unsigned char *out)
{
	const size_t size = (size_t)t->pages * HYPERV_PAGE;

	for (size_t i = 0; t->fill && i < size; i += 8)
		memcpy(out + i, t->fill, 8);
	if (t->fill)
		return true;
	if (t->len < size)
		return hyperv_decompress(t->data, t->len, out, size);
	memcpy(out, t->data, size);
	return true;
}

static struct gdump_error *block_corrupt(uint64_t pos, const char *what)
{
	return error_new(GDUMP_ERR_CORRUPT, "the block of memory at offset 0x%" PRIx64 " of the file %s",
			 pos, what);
}

/* Copy what of [off, off + len) the tokens of a block have; @ret: how many pages it has. */
static struct gdump_error *block_copy(struct cursor c, uint64_t pos, uint32_t off, unsigned char *buf,
				      size_t len, uint32_t *ret)
{
	CLEANUP_FREE unsigned char *pages = malloc(HYPERV_BLOCK);
	const uint64_t end = (uint64_t)off + len;
	struct block_token t;
	uint64_t at = 0, size = 0;

	if (!pages)
		return error_nomem();
	for (; at <= HYPERV_BLOCK; at += size) {
		const bool good = block_next(&c, &t);
		const uint64_t from = MAX(at, (uint64_t)off);

		if (!good)
			return block_corrupt(pos, "has an invalid token");
		size = (uint64_t)t.pages * HYPERV_PAGE;
		if (!size)
			break;
		if (from >= MIN(at + size, end))
			continue;
		if (!block_unfold(&t, pages))
			return block_corrupt(pos, "cannot be decompressed");
		memcpy(buf + (from - off), pages + (from - at), (size_t)(MIN(at + size, end) - from));
	}
	*ret = (uint32_t)(at / HYPERV_PAGE);
	return NULL;
}

struct gdump_error *hyperv_tokens_read(struct bytes *in, uint64_t pos, uint32_t size, uint32_t pages,
				       uint32_t off, unsigned char *buf, size_t len)
{
	CLEANUP_FREE unsigned char *tokens = malloc((size_t)size + 1);
	struct gdump_error *err = tokens ? bytes_read(in, pos, tokens, size) : error_nomem();
	uint32_t num = 0;

	if (!err)
		err = block_copy(cursor_init(tokens, size, false, true), pos, off, buf, len, &num);
	if (!err && num != pages && num != HYPERV_BLOCK_PAGES)
		err = block_corrupt(pos, "has another number of pages than the list of ranges");
	return err;
}
