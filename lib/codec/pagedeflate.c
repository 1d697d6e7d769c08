/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * codec/pagedeflate.c - a deflate encoder that knows it has one page
 *
 * The format is deflate (RFC 1951) in zlib's framing (RFC 1950).  Encoders for streams of
 * any length spend most of their time on what pays only for more than a page: they clear large
 * tables, consider where to begin a new block, and build optimal codes.  Here a page is
 * one block with codes of its own, and all tables fit into the first level of the cache.
 *
 * Theory of operation
 *
 *     page --> tokens --> counts --> lengths of codes --> header's tokens
 *                                                               |
 *                                stream <-- codes <-- size <----+
 *
 * A page becomes tokens, each a symbol with extra bits: a literal, or a length and a
 * distance (pagedeflate_match.c).  How often each symbol occurs decides how long its code
 * is (pagedeflate_code.c).  The header describes these lengths by symbols of a third
 * alphabet: these are tokens too, and counted, coded and written in the same way.  When all
 * codes are known, so is the size, and only pages that get smaller are written.
 *
 * Mispredicted branches are what costs most, more than the work: hence tokens of one form
 * for the inner loops, and arithmetic in place of tables and conditions.
 *
 * Nothing is kept from page to page, so that the bytes depend on the page alone.
 */
#include "pagedeflate.h"

#include <endian.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "pagedeflate_inside.h"

_Static_assert((int)PAGE == (int)PAGEDEFLATE_PAGE, "a page");

enum {
	ZLIB_HEADER_SIZE = 2,
	ADLER32_SIZE = 4,
	MAX_ZEROS = 138,                /* in one token of the header           */
	/* Two tokens a symbol at most: the zeros before it, and its length */
	MAX_HEADER = 2 * CODE_LENGTHS + 2,
	BLOCK_HEADER_BITS = 1 + 2 + 5 + 5 + 4,
	NUM_COUNTERS = 4,
};

static const struct alphabet literals_alphabet = { 0, DISTANCES, 15 };
static const struct alphabet distances_alphabet = { DISTANCES, CODE_LENGTHS - DISTANCES, 15 };
static const struct alphabet lengths_alphabet = { CODE_LENGTHS, NUM_SYMBOLS - CODE_LENGTHS, 7 };

/* In which order the header has the lengths of the third alphabet's codes */
static const uint8_t lengths_order[] = {
	16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
};

struct pagedeflate {
	struct code_tables tables;
	uint32_t tokens[MAX_TOKENS], header[MAX_HEADER];
	unsigned int num_tokens, num_header;
	struct coding literals, distances, lengths;
	unsigned int num_lengths;       /* of lengths_order that the header has */
	struct code codes[NUM_SYMBOLS];
	unsigned char out[PAGE + sizeof(uint64_t)];
};

/* The stream, lowest bit first */
struct bit_writer {
	uint64_t bits;                  /* not yet in memory                    */
	unsigned int num;
	unsigned char *out;             /* eight bytes may be written           */
};

static inline void bit_writer_put(struct bit_writer *w, uint64_t bits, unsigned int num)
{
	w->bits |= bits << w->num;
	w->num += num;
}

/* Leaves less than 8 bits. */
static inline void bit_writer_flush(struct bit_writer *w)
{
	const uint64_t bits = htole64(w->bits);

	memcpy(w->out, &bits, sizeof(bits));
	w->out += w->num / 8;
	w->bits >>= w->num & ~7u;
	w->num &= 7;
}

/* Count in turns, because adding to what was just written has to wait for it. */
static void tokens_count(const uint32_t *tokens, unsigned int num, uint16_t *ret)
{
	uint16_t counts[NUM_COUNTERS][NUM_SYMBOLS] = { 0 };
	unsigned int i = 0;

	for (; i + NUM_COUNTERS <= num; i += NUM_COUNTERS) {
		counts[0][token_symbol(tokens[i])]++;
		counts[1][token_symbol(tokens[i + 1])]++;
		counts[2][token_symbol(tokens[i + 2])]++;
		counts[3][token_symbol(tokens[i + 3])]++;
	}
	for (; i < num; i++)
		counts[0][token_symbol(tokens[i])]++;
	for (i = 0; i < NUM_SYMBOLS; i++)
		ret[i] = (uint16_t)(counts[0][i] + counts[1][i] + counts[2][i] + counts[3][i]);
}

/* Bits, not in memory yet: at most 15 + 10 of a token, and so 50 of two */
struct bits {
	uint64_t bits;
	unsigned int num;
};

static inline struct bits bits_join(struct bits a, struct bits b)
{
	return (struct bits){ a.bits | b.bits << a.num, a.num + b.num };
}

static inline struct bits token_encode(const struct code *codes, uint32_t token)
{
	const struct code c = codes[token_symbol(token)];

	return (struct bits){ c.bits | (uint64_t)token_extra(token) << c.len, c.len_with_extra };
}

static void tokens_write(const struct code *codes, const uint32_t *t, unsigned int num,
			 struct bit_writer *writer)
{
	struct bit_writer w = *writer;
	unsigned int i = 0;

	for (; i + 4 <= num; i += 4) {
		const struct bits a = bits_join(token_encode(codes, t[i]),
						token_encode(codes, t[i + 1]));
		const struct bits b = bits_join(token_encode(codes, t[i + 2]),
						token_encode(codes, t[i + 3]));

		bit_writer_put(&w, a.bits, a.num);
		if (a.num + b.num > 64 - 8)
			bit_writer_flush(&w);
		bit_writer_put(&w, b.bits, b.num);
		bit_writer_flush(&w);
	}
	for (; i < num; i++) {
		const struct bits a = token_encode(codes, t[i]);

		bit_writer_put(&w, a.bits, a.num);
		bit_writer_flush(&w);
	}
	*writer = w;
}

/* Describe the lengths of an alphabet's codes, up to the last that is used: a run of zeros, that
 * is of symbols that are not used, is one token.  There is also one for a run of the same
 * length, which would save next to nothing.  Returns the end of the tokens.
 */
static uint32_t *header_describe(const struct alphabet *a, const struct coding *c, uint32_t *t)
{
	unsigned int next = a->first;

	for (unsigned int i = 0; i < c->num; i++) {
		unsigned int zeros = c->symbol[i] - next;

		for (; zeros > MAX_ZEROS; zeros -= MAX_ZEROS)
			*t++ = token(CODE_LENGTHS + 18, MAX_ZEROS - 11);
		t[0] = zeros < 3 ? CODE_LENGTHS :
		       zeros < 11 ? token(CODE_LENGTHS + 17, zeros - 3) :
				    token(CODE_LENGTHS + 18, zeros - 11);
		t[1] = CODE_LENGTHS;
		t += (zeros > 0) + (zeros == 2);
		*t++ = token(CODE_LENGTHS + c->len[i], 0);
		next = c->symbol[i] + 1u;
	}
	return t;
}

/* The codes of the page and the header that describes them.  Returns the bits of both. */
static unsigned int page_encode(struct pagedeflate *z)
{
	const struct code_tables *tables = &z->tables;
	uint16_t counts[NUM_SYMBOLS];
	unsigned int bits;
	uint32_t *end;

	tokens_count(z->tokens, z->num_tokens, counts);
	coding_choose(tables, &literals_alphabet, counts, &z->literals);
	coding_choose(tables, &distances_alphabet, counts, &z->distances);
	bits = coding_assign(tables, &z->literals, counts, z->codes) +
	       coding_assign(tables, &z->distances, counts, z->codes);

	end = header_describe(&literals_alphabet, &z->literals, z->header);
	end = header_describe(&distances_alphabet, &z->distances, end);
	z->num_header = (unsigned int)(end - z->header);
	tokens_count(z->header, z->num_header, counts);
	coding_choose(tables, &lengths_alphabet, counts, &z->lengths);
	memset(z->codes + CODE_LENGTHS, 0, sizeof(z->codes) - CODE_LENGTHS * sizeof(*z->codes));
	bits += coding_assign(tables, &z->lengths, counts, z->codes);

	z->num_lengths = ARRAY_SIZE(lengths_order);
	while (!z->codes[CODE_LENGTHS + lengths_order[z->num_lengths - 1]].len)
		z->num_lengths--;
	return bits + BLOCK_HEADER_BITS + 3 * z->num_lengths;
}

/* How many symbols of an alphabet the header describes */
static unsigned int coding_end(const struct alphabet *a, const struct coding *c)
{
	return c->symbol[c->num - 1] + 1u - a->first;
}

/* The header of the block (RFC 1951, 3.2.7).  It has more than four lengths, because in their order
 * those of runs and zeros come first, and every page has a code whose length is not zero.
 */
static void header_write(const struct pagedeflate *z, struct bit_writer *w)
{
	bit_writer_put(w, 1, 1);        /* the last block                       */
	bit_writer_put(w, 2, 2);        /* with codes of its own                */
	bit_writer_put(w, coding_end(&literals_alphabet, &z->literals) - 257, 5);
	bit_writer_put(w, coding_end(&distances_alphabet, &z->distances) - 1, 5);
	bit_writer_put(w, z->num_lengths - 4, 4);
	for (unsigned int i = 0; i < z->num_lengths; i++) {
		bit_writer_put(w, z->codes[CODE_LENGTHS + lengths_order[i]].len, 3);
		bit_writer_flush(w);
	}
	tokens_write(z->codes, z->header, z->num_header, w);
}

static void page_write(struct pagedeflate *z, const void *page, size_t size)
{
	struct bit_writer w = { .out = z->out + ZLIB_HEADER_SIZE };
	const uint32_t adler32 = htobe32(libdeflate_adler32(1, page, PAGE));

	/* a window of 32 KiB, the fastest level; together a multiple of 31 */
	z->out[0] = 0x78;
	z->out[1] = 0x01;
	header_write(z, &w);
	tokens_write(z->codes, z->tokens, z->num_tokens, &w);
	memcpy(z->out + size - ADLER32_SIZE, &adler32, sizeof(adler32));
}

#ifdef PAGEDEFLATE_CHECK
/* A page that cannot be read again would be noticed when it is needed, and too late. */
static void page_check(const void *stream, size_t size, const void *page)
{
	struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
	unsigned char again[PAGE];

	if (d && (libdeflate_zlib_decompress(d, stream, size, again, PAGE, NULL) !=
		  LIBDEFLATE_SUCCESS || memcmp(again, page, PAGE)))
		abort();
	libdeflate_free_decompressor(d);
}
#else
static void page_check(const void *stream, size_t size, const void *page)
{
	(void)stream, (void)size, (void)page;
}
#endif

size_t pagedeflate_compress(struct pagedeflate *z, void *dst, size_t cap, const void *page)
{
	size_t size;

	z->num_tokens = matches_find(page, z->tokens);
	size = ZLIB_HEADER_SIZE + div_up(page_encode(z), 8) + ADLER32_SIZE;
	if (size > MIN(cap, PAGE - 1))
		return 0;
	page_write(z, page, size);
	page_check(z->out, size, page);
	memcpy(dst, z->out, size);
	return size;
}

struct pagedeflate *pagedeflate_open(void)
{
	struct pagedeflate *z = malloc(sizeof(*z));

	if (z)
		code_tables_init(&z->tables);
	return z;
}

void pagedeflate_close(struct pagedeflate *z)
{
	free(z);
}
