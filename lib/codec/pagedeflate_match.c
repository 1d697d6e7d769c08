/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * codec/pagedeflate_match.c - turn a page into literals and matches
 *
 * A hash table has the last position of each four bytes.  It is small enough for the
 * fastest cache and to be cleared for each page: so every entry is a position in this page,
 * and comparing the four bytes there is the whole test.  A cleared entry is position 0,
 * which is as good as any.
 *
 * Most matches are short, so that guessing where the next one begins costs more than
 * looking.  Therefore BLOCK positions are looked up at once without a branch; the result
 * is a bit for each and the position where it could be copied from.  Then the matches of
 * the block are taken from left to right, each as long as it gets.  Blocks inside a match
 * are not looked up.
 */
#include "pagedeflate_inside.h"

#include <endian.h>
#include <string.h>

#include "../util/bits.h"

enum {
	BLOCK = 64,
	HASH_BITS = 12,
	MIN_MATCH = 4,                  /* deflate's 3 hardly ever saves a bit  */
};

static inline uint32_t page_load32(const unsigned char *page, unsigned int at)
{
	uint32_t v;

	memcpy(&v, page + at, sizeof(v));
	return le32toh(v);
}

static inline uint64_t page_load64(const unsigned char *page, unsigned int at)
{
	uint64_t v;

	memcpy(&v, page + at, sizeof(v));
	return le64toh(v);
}

/* Look up positions [from, from + n), n <= BLOCK.  Returns a bit for each, the highest for the
 * first one: whether the four bytes there are those at its position in @earlier.
 */
static inline uint64_t block_look_up(uint16_t *restrict table, const unsigned char *restrict page,
				     unsigned int from, unsigned int n, uint16_t *restrict earlier)
{
	uint64_t found = 0;

#pragma GCC unroll 4
	for (unsigned int k = 0; k < n; k++) {
		const uint32_t v = page_load32(page, from + k);
		uint16_t *entry = &table[v * 0x9e3779b1u >> (32 - HASH_BITS)];
		const unsigned int at = *entry;

		*entry = (uint16_t)(from + k);
		earlier[k] = (uint16_t)at;
		found += found + (page_load32(page, at) == v);
	}
	return found << (BLOCK - n);
}

/* How many bytes at @at are equal to those at @earlier; the first MIN_MATCH are. */
static inline unsigned int match_length(const unsigned char *page, unsigned int earlier,
					unsigned int at)
{
	unsigned int n = MIN_MATCH;

	for (; n < MAX_MATCH && at + n + 8 <= PAGE; n += 8) {
		const uint64_t differ = page_load64(page, earlier + n) ^ page_load64(page, at + n);

		if (differ)
			return MIN(n + (unsigned int)__builtin_ctzll(differ) / 8, MAX_MATCH);
	}
	while (n < MAX_MATCH && at + n < PAGE && page[earlier + n] == page[at + n])
		n++;
	return MIN(n, MAX_MATCH);
}

/* RFC 1951 has tables.  With n = length - 3, the symbols from 4 on are n's highest three bits,
 * that is four for each power of two, and the other bits of n follow as extra bits; 258 has a
 * symbol of its own.
 */
static inline uint32_t token_of_length(unsigned int length)
{
	const unsigned int n = length - 3, extra_bits = (unsigned int)log2_u64(n | 4) - 2;

	if (length == MAX_MATCH)
		return LENGTHS + 28;
	return token(LENGTHS + 4 * extra_bits + (n >> extra_bits), n & ((1u << extra_bits) - 1));
}

/* The same with the highest two bits of distance - 1 */
static inline uint32_t token_of_distance(unsigned int distance)
{
	const unsigned int n = distance - 1, extra_bits = (unsigned int)log2_u64(n | 2) - 1;

	return token(DISTANCES + 2 * extra_bits + (n >> extra_bits), n & ((1u << extra_bits) - 1));
}

/* Write LITERALS_AT_ONCE tokens. */
static inline void literals_copy(uint32_t *restrict tokens, const unsigned char *restrict bytes)
{
	typedef uint8_t narrow __attribute__((vector_size(LITERALS_AT_ONCE)));
	typedef uint32_t wide __attribute__((vector_size(4 * LITERALS_AT_ONCE)));
	narrow in;
	wide out;

	memcpy(&in, bytes, sizeof(in));
	out = __builtin_convertvector(in, wide);
	memcpy(tokens, &out, sizeof(out));
}

/* Write bytes [from, to) as literals.  Returns the end of the tokens. */
static inline uint32_t *literals_write(uint32_t *tokens, const unsigned char *page,
				       unsigned int from, unsigned int to)
{
	while (from + LITERALS_AT_ONCE <= PAGE) {
		literals_copy(tokens, page + from);
		if (to - from <= LITERALS_AT_ONCE)
			return tokens + (to - from);
		from += LITERALS_AT_ONCE;
		tokens += LITERALS_AT_ONCE;
	}
	while (from < to)
		*tokens++ = page[from++];
	return tokens;
}

unsigned int matches_find(const unsigned char *page, uint32_t *tokens)
{
	uint16_t table[1 << HASH_BITS] = { 0 }, earlier[BLOCK];
	unsigned int done = 0;          /* the tokens' bytes                    */
	unsigned int next = 1;          /* where a match may begin              */
	uint32_t *t = tokens;

	for (unsigned int block = 0; block < PAGE; block += BLOCK) {
		uint64_t found;

		if (next >= block + BLOCK)
			continue;
		found = block_look_up(table, page, block, MIN(BLOCK, PAGE - MIN_MATCH + 1 - block),
				      earlier);
		while (next < block + BLOCK &&
		       (found &= UINT64_MAX >> (next > block ? next - block : 0))) {
			const unsigned int k = (unsigned int)__builtin_clzll(found);
			const unsigned int length = match_length(page, earlier[k], block + k);

			t = literals_write(t, page, done, block + k);
			*t++ = token_of_length(length);
			*t++ = token_of_distance(block + k - earlier[k]);
			next = done = block + k + length;
		}
	}
	t = literals_write(t, page, done, PAGE);
	*t++ = END_OF_BLOCK;
	return (unsigned int)(t - tokens);
}
