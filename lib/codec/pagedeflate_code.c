/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * codec/pagedeflate_code.c - how many bits each symbol gets, and which
 *
 * Huffman's algorithm gives the shortest codes, but sorting the symbols and building a tree
 * takes longer than anything else that is done for a page except the search for matches.
 * This way takes a third of that and its codes are 0.1 % longer:
 *
 * A symbol that is one of n deserves log2(n) bits.  If each length is rounded up to whole
 * bits, the codes always fit, and room is left: a code of n bits takes 1 / 2^n of it.
 * So some symbols can have one bit less, which takes as much room again as they have.
 * The gain for that room is largest for the symbols that were rounded up most: these are
 * shortened first.  The rest of the room goes to whoever fits, until none is left, because
 * inflate rejects codes that leave some.  That ends: the room is a multiple of what the
 * longest code takes.
 *
 * No length has to be limited afterwards.  A page has at most 4097 literals and lengths, so
 * that no code has more than 13 bits.  In the alphabet of 19 that has a limit of 7, no
 * symbol counts for less than 1/64 of all, which lengthens the total to 83/64 at most.
 */
#include "pagedeflate_inside.h"

#include <stdbool.h>

#include "../util/bits.h"

enum {
	LOG2_ONE = 16,                  /* the unit of logarithms: 1/16 bit     */
	LONGEST = 15,
	ROOM = 1 << LONGEST,
};

/* Lengths being chosen */
struct lengths {
	struct coding *coding;
	uint8_t gain[MAX_ALPHABET];     /* by how much each is rounded up       */
	unsigned int room_for[LOG2_ONE];/* that shortening all of this gain takes */
	unsigned int room;              /* that is left                         */
};

static const uint8_t extra_bits[NUM_SYMBOLS] = {
	[LENGTHS + 8] = 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5,
	[DISTANCES + 4] = 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10,
	[CODE_LENGTHS + 16] = 2, 3, 7,
};

/* In whole numbers, so that it is the same on every CPU: each time that a number between 1 and 2
 * is squared, one more bit of its logarithm comes out.
 */
static uint8_t log2_rounded_down(unsigned int n)
{
	const unsigned int whole = log2_u64(n);
	uint64_t x = (uint64_t)n << (31 - whole);
	unsigned int log = whole;

	for (unsigned int unit = 1; unit < LOG2_ONE; unit *= 2) {
		x = x * x >> 31;
		log = 2 * log + (unsigned int)(x >> 32);
		x >>= x >> 32;
	}
	return (uint8_t)log;
}

void code_tables_init(struct code_tables *t)
{
	t->log2[0] = 0;
	for (unsigned int n = 1; n < ARRAY_SIZE(t->log2); n++)
		t->log2[n] = log2_rounded_down(n);
	for (unsigned int n = 0; n < 256; n++) {
		unsigned int r = 0;

		for (unsigned int bit = 0; bit < 8; bit++)
			r |= (n >> bit & 1) << (7 - bit);
		t->reversed[n] = (uint8_t)r;
	}
}

/* Which symbols occur.  One code alone would have no bits, which not every reader takes: then
 * another symbol gets one too.  Returns how often all of them occur.
 */
static unsigned int coding_find_used(const struct alphabet *a, const uint16_t *counts,
				     struct coding *c)
{
	unsigned int total = 0;

	c->num = 0;
	for (unsigned int s = a->first; s < (unsigned int)a->first + a->num; s++) {
		c->symbol[c->num] = (uint16_t)s;
		c->num += counts[s] != 0;
		total += counts[s];
	}
	if (c->num < 2) {
		const bool is_first = !c->num || c->symbol[0] == a->first;

		c->symbol[1] = is_first ? (uint16_t)(a->first + 1) : c->symbol[0];
		c->symbol[0] = a->first;
		c->num = 2;
	}
	return total;
}

/* Round the length up that each symbol deserves. */
static void lengths_round_up(struct lengths *l, const struct code_tables *t, unsigned int max_len,
			     const uint16_t *counts, unsigned int total)
{
	struct coding *c = l->coding;
	const unsigned int least = (total >> (max_len - 1)) + 1;
	const unsigned int log2_total = t->log2[total + c->num * least] + 1u;

	for (unsigned int i = 0; i < c->num; i++) {
		const unsigned int n = MAX(counts[c->symbol[i]], least);
		const unsigned int deserved = log2_total - t->log2[n];
		const unsigned int len = (deserved + LOG2_ONE - 1) / LOG2_ONE;
		const unsigned int gain = len * LOG2_ONE - deserved;
		const unsigned int room = ROOM >> len;

		c->len[i] = (uint8_t)len;
		l->gain[i] = (uint8_t)gain;
		l->room_for[gain] += room;
		l->room -= room;
	}
}

/* Shorten the symbols that gain @least or more, if they fit. */
static void lengths_shorten(struct lengths *l, unsigned int least)
{
	struct coding *c = l->coding;

	for (unsigned int i = 0; i < c->num && l->room; i++) {
		if (l->gain[i] < least || (unsigned int)ROOM >> c->len[i] > l->room)
			continue;
		l->room -= ROOM >> c->len[i];
		l->gain[i] = 0;
		c->len[i]--;
	}
}

/* Spend the room, most gain first. */
static void lengths_spend_room(struct lengths *l)
{
	struct coding *c = l->coding;
	unsigned int least = LOG2_ONE;

	while (least && l->room_for[least - 1] <= l->room)
		l->room -= l->room_for[--least];
	for (unsigned int i = 0; i < c->num; i++) {
		const bool shorten = l->gain[i] >= least;

		c->len[i] = (uint8_t)(c->len[i] - shorten);
		l->gain[i] = shorten ? 0 : l->gain[i];
	}
	if (least)
		lengths_shorten(l, least - 1);
	while (l->room)
		lengths_shorten(l, 0);
}

void coding_choose(const struct code_tables *t, const struct alphabet *a, const uint16_t *counts,
		   struct coding *ret)
{
	struct lengths l = { .coding = ret, .room = ROOM };
	const unsigned int total = coding_find_used(a, counts, ret);

	lengths_round_up(&l, t, a->max_len, counts, total);
	lengths_spend_room(&l);
}

/* As RFC 1951, 3.2.2: codes of the same length are consecutive numbers in the order of the
 * symbols, and shorter ones come first.  Here all numbers have LONGEST + 1 bits.
 */
unsigned int coding_assign(const struct code_tables *t, const struct coding *c,
			   const uint16_t *counts, struct code *codes)
{
	uint16_t num[LONGEST + 1] = { 0 }, next[LONGEST + 1];
	unsigned int first = 0, bits = 0;

	for (unsigned int i = 0; i < c->num; i++)
		num[c->len[i]]++;
	for (unsigned int len = 1; len <= LONGEST; len++) {
		next[len] = (uint16_t)first;
		first += (unsigned int)num[len] << (LONGEST + 1 - len);
	}
	for (unsigned int i = 0; i < c->num; i++) {
		const unsigned int s = c->symbol[i], len = c->len[i], n = next[len];
		struct code code = {
			.bits = (uint16_t)(t->reversed[n & 0xff] << 8 | t->reversed[n >> 8]),
			.len = (uint8_t)len,
			.len_with_extra = (uint8_t)(len + extra_bits[s]),
		};

		next[len] = (uint16_t)(n + (1u << (LONGEST + 1 - len)));
		codes[s] = code;
		bits += counts[s] * code.len_with_extra;
	}
	return bits;
}
