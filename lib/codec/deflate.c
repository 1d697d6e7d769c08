/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * codec/deflate.c - pack one page with deflate, fast
 *
 * A general library spends much of its time for 4 KiB on what pays off later in a
 * long stream only.  Here a page is one block:
 *
 * 1. find_matches() goes over it once.  A table with the place where each four
 *    bytes were seen last gives one candidate; the longest match from there is
 *    taken.  Memory is full of words that differ in one or two bytes, so matches
 *    are short and near.  What it finds is counted and kept as steps: so many
 *    literals, then a match.
 *    What looks random is given up here.
 * 2. code_make() makes Huffman codes for those counts, of at most 14 bits.
 * 3. Their sizes tell how long the block will be: a page that does not get
 *    smaller is given up before anything is written.
 * 4. put_steps() writes the block.
 *
 * The bytes depend on the page only, not on the machine.
 */
#include "deflate.h"

#include <endian.h>
#include <libdeflate.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"

enum {
	HASH_BITS = 12,
	MIN_MATCH = 4, MAX_MATCH = 258, WINDOW = 32768,
	NUM_LITLEN = 286, NUM_DIST = 30, NUM_PRE = 19,
	END_OF_BLOCK = 256, FIRST_LENGTH = 257,
	MAX_BITS = 14,                  /* so that four literals fit into a word */
	MAX_PRE_BITS = 7,
	PUT_SHIFT = 8,
	FREQ_SHIFT = 9,                 /* of a leaf; below is the symbol       */
	SLACK = 8,                      /* put_bits() writes whole words        */
	ZLIB_SIZE = 2 + 4,              /* header and checksum                  */
};

/* A Huffman code: by symbol */
struct code {
	uint32_t freq[NUM_LITLEN];
	uint32_t put[NUM_LITLEN];       /* the code, its first bit lowest; above
					 * PUT_SHIFT; below, its length         */
	uint8_t len[NUM_LITLEN];
	unsigned int used;              /* symbols up to the last that occurs   */
};

/* Literals, then a match; the last step has none. */
struct step {
	uint32_t literals;
	uint16_t match, dist;           /* dist is one less                     */
};

struct deflate {
	struct code litlen, dist, pre;
	uint16_t last[1 << HASH_BITS];  /* where four bytes were seen last      */
	/* the lengths of both codes, as the block's head has them: symbols of
	 * ->pre and what follows each
	 */
	uint8_t pre_sym[NUM_LITLEN + NUM_DIST], pre_extra[NUM_LITLEN + NUM_DIST];
	size_t num_pre;
	size_t num_steps;
	struct step steps[];
};

struct bit_writer {
	unsigned char *p;
	uint64_t word;
	unsigned int n;                 /* bits in the word; less than 8 after put_word() */
};

static inline uint32_t load32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* --- the parts of deflate's alphabet (RFC 1951, 3.2.5) ------------------------ */

/* A number split into a symbol and extra bits below it */
struct part {
	unsigned int sym, extra, num_extra;
};

static inline struct part length_part(unsigned int len)
{
	const unsigned int v = len - 3, n = 29 - (unsigned int)__builtin_clz(v | 7);

	if (len == MAX_MATCH)
		return (struct part){ .sym = FIRST_LENGTH + 28 };
	return (struct part){ FIRST_LENGTH + 4 * n + (v >> n), v & ((1u << n) - 1), n };
}

static inline struct part dist_part(unsigned int dist)
{
	const unsigned int v = dist - 1, n = 30 - (unsigned int)__builtin_clz(v | 3);

	return (struct part){ 2 * n + (v >> n), v & ((1u << n) - 1), n };
}

/* --- matches --------------------------------------------------------------------- */

static inline unsigned int hash(uint32_t v)
{
	return v * 0x9e3779b1u >> (32 - HASH_BITS);
}

/* How many bytes at @a and @b are equal, at most @max; @b is the later one. */
static inline unsigned int match_length(const unsigned char *a, const unsigned char *b,
					unsigned int max)
{
	unsigned int n = MIN_MATCH;

	for (; n + 8 <= max; n += 8) {
		uint64_t differ = load64(a + n) ^ load64(b + n);

		if (differ)
			return n + (unsigned int)__builtin_ctzll(le64toh(differ)) / 8;
	}
	while (n < max && a[n] == b[n])
		n++;
	return n;
}

static void add_step(struct deflate *d, size_t literals, unsigned int match, unsigned int dist)
{
	d->steps[d->num_steps++] = (struct step){ (uint32_t)literals, (uint16_t)match,
						  (uint16_t)(dist - 1) };
}

static inline void remember(struct deflate *d, const unsigned char *src, size_t i)
{
	d->last[hash(load32(src + i))] = (uint16_t)i;
}

static void find_matches(struct deflate *d, const unsigned char *src, size_t len)
{
	const size_t end = len > MIN_MATCH ? len - MIN_MATCH : 0;
	size_t i = 0, from = 0;         /* literals that wait begin at @from    */

	memset(d->last, 0, sizeof(d->last));
	d->num_steps = 0;
	if (len)
		d->litlen.freq[src[i++]]++;
	while (i < end) {
		const uint32_t v = load32(src + i);
		uint16_t *last = &d->last[hash(v)];
		const size_t at = *last;
		unsigned int n;

		*last = (uint16_t)i;
		if (load32(src + at) != v || i - at > WINDOW) {
			d->litlen.freq[src[i++]]++;
			continue;
		}
		n = match_length(src + at, src + i, (unsigned int)MIN(len - i, MAX_MATCH));
		d->litlen.freq[length_part(n).sym]++;
		d->dist.freq[dist_part((unsigned int)(i - at)).sym]++;
		add_step(d, i - from, n, (unsigned int)(i - at));
		/* to remember all that is in between takes longer than it saves */
		if (i + n < end) {
			remember(d, src, i + 1);
			remember(d, src, i + n - 1);
		}
		i += n;
		from = i;
	}
	while (i < len)
		d->litlen.freq[src[i++]]++;
	add_step(d, len - from, 0, 1);
	d->litlen.freq[END_OF_BLOCK]++;
}

/* Whether the page looks like random bytes: next to no matches, and so even counts
 * of literals that a code of theirs has almost 7.9 bits each.  The bound comes
 * from Renyi's entropy, -log2(sum of p^2), which is at most Shannon's.
 */
static bool is_random(const struct deflate *d, size_t len)
{
	uint64_t squares = 0, literals = 0;

	if (d->num_steps > len / 256)
		return false;
	for (unsigned int i = 0; i < END_OF_BLOCK; i++) {
		literals += d->litlen.freq[i];
		squares += (uint64_t)d->litlen.freq[i] * d->litlen.freq[i];
	}
	return literals > len - len / 64 && squares * 236 < literals * literals;
}

/* --- codes ---------------------------------------------------------------------------- */

/* A leaf of the tree is a symbol that occurs: its frequency and, below, itself. */
static uint32_t leaf_freq(uint32_t leaf)
{
	return leaf >> FREQ_SHIFT;
}

static void sort_few(uint32_t *leaf, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		uint32_t l = leaf[i];
		size_t k = i;

		for (; k && leaf[k - 1] > l; k--)
			leaf[k] = leaf[k - 1];
		leaf[k] = l;
	}
}

/* One pass of a radix sort: by eight bits */
static void sort_pass(uint32_t *to, const uint32_t *from, size_t n, unsigned int shift)
{
	uint16_t place[256] = { 0 };
	unsigned int sum = 0;

	for (size_t i = 0; i < n; i++)
		place[from[i] >> shift & 0xff]++;
	for (size_t i = 0; i < ARRAY_SIZE(place); i++) {
		unsigned int count = place[i];

		place[i] = (uint16_t)sum;
		sum += count;
	}
	for (size_t i = 0; i < n; i++)
		to[place[from[i] >> shift & 0xff]++] = from[i];
}

/* Ascending; @leaf is in the symbols' order, which stays where frequencies are equal. */
static void sort_leaves(uint32_t *leaf, size_t n, uint32_t max)
{
	uint32_t other[NUM_LITLEN];

	if (n <= 24) {
		sort_few(leaf, n);
		return;
	}
	for (unsigned int shift = FREQ_SHIFT; max >> shift; shift += 8) {
		sort_pass(other, leaf, n, shift);
		memcpy(leaf, other, n * sizeof(*leaf));
	}
}

/* How many of @n sorted leaves get a code of each length. */
static void count_lengths(const uint32_t *leaf, size_t n, unsigned int max_bits,
			  unsigned int *count)
{
	uint32_t freq[NUM_LITLEN];      /* of inner nodes, ascending            */
	uint16_t parent[NUM_LITLEN];
	uint8_t depth[NUM_LITLEN];
	unsigned int inner[NUM_LITLEN] = { 0 };
	size_t l = 0, i = 0, deepest;   /* the next leaf, the next inner node   */

	/* join the two rarest until one is left */
	for (size_t k = 0; k + 1 < n; k++) {
		freq[k] = 0;
		for (int side = 0; side < 2; side++) {
			if (l < n && (i == k || leaf_freq(leaf[l]) <= freq[i])) {
				freq[k] += leaf_freq(leaf[l++]);
			} else {
				freq[k] += freq[i];
				parent[i++] = (uint16_t)k;
			}
		}
	}
	depth[n - 2] = 0;
	inner[0] = 1;
	for (size_t k = n - 2; k-- > 0;) {
		depth[k] = (uint8_t)(depth[parent[k]] + 1);
		inner[depth[k]]++;
	}
	deepest = n > 2 ? depth[0] + 1u : 1;
	for (size_t k = 1; k <= deepest; k++)
		count[k] = 2 * inner[k - 1] - inner[k];
	/* too long: a pair goes up, one of it to the place of a shorter code that
	 * gets one bit more
	 */
	for (size_t k = deepest; k > max_bits; k--) {
		while (count[k]) {
			size_t up = k - 2;

			while (!count[up])
				up--;
			count[k] -= 2;
			count[k - 1]++;
			count[up + 1] += 2;
			count[up]--;
		}
	}
}

static unsigned int reverse_bits(unsigned int v, unsigned int n)
{
	v = (v & 0x5555) << 1 | (v >> 1 & 0x5555);
	v = (v & 0x3333) << 2 | (v >> 2 & 0x3333);
	v = (v & 0x0f0f) << 4 | (v >> 4 & 0x0f0f);
	v = (v & 0x00ff) << 8 | (v >> 8 & 0x00ff);
	return v >> (16 - n);
}

/* @n symbols get @bits bits each, the next ones in @leaf. */
static void code_assign(struct code *c, const uint32_t **leaf, size_t n, unsigned int bits)
{
	for (; n; n--)
		c->len[*(*leaf)++ & ((1 << FREQ_SHIFT) - 1)] = (uint8_t)bits;
}

static void code_make(struct code *c, size_t num, unsigned int max_bits)
{
	uint32_t leaves[NUM_LITLEN + 1], max = 0;
	const uint32_t *leaf = leaves;
	unsigned int count[NUM_LITLEN + 1] = { 0 }, next[16], code = 0;
	size_t n = 0;

	memset(c->len, 0, sizeof(c->len));
	for (size_t i = 0; i < num; i++) {
		leaves[n] = c->freq[i] << FREQ_SHIFT | (uint32_t)i;
		max = MAX(max, leaves[n]);
		n += c->freq[i] > 0;
	}
	if (n < 2) {
		/* one symbol gets a code, used or not: readers want one */
		c->used = n ? (leaves[0] & ((1 << FREQ_SHIFT) - 1)) + 1 : 1;
		c->len[c->used - 1] = 1;
		c->put[c->used - 1] = 1;
		return;
	}
	c->used = (leaves[n - 1] & ((1 << FREQ_SHIFT) - 1)) + 1;
	sort_leaves(leaves, n, max);
	count_lengths(leaves, n, max_bits, count);
	for (unsigned int bits = max_bits; bits; bits--)
		code_assign(c, &leaf, count[bits], bits);
	for (unsigned int bits = 1; bits <= max_bits; bits++) {
		next[bits] = code;
		code = (code + count[bits]) << 1;
	}
	for (size_t i = 0; i < c->used; i++) {
		const unsigned int len = c->len[i];

		if (len)
			c->put[i] = reverse_bits(next[len]++, len) << PUT_SHIFT | len;
	}
}

static size_t code_cost(const struct code *c)
{
	size_t bits = 0;

	for (size_t i = 0; i < c->used; i++)
		bits += (size_t)c->freq[i] * c->len[i];
	return bits;
}

/* --- the head of a block: the lengths of the codes -------------------------------------- */

static void pre_add(struct deflate *d, unsigned int sym, unsigned int extra)
{
	d->pre.freq[sym]++;
	d->pre_sym[d->num_pre] = (uint8_t)sym;
	d->pre_extra[d->num_pre++] = (uint8_t)extra;
}

/* @n times @len */
static void pre_add_run(struct deflate *d, unsigned int len, size_t n)
{
	size_t k;

	for (; !len && n >= 11; n -= k) {
		k = MIN(n, 138);
		pre_add(d, 18, (unsigned int)k - 11);
	}
	if (!len && n >= 3) {
		pre_add(d, 17, (unsigned int)n - 3);
		return;
	}
	if (len && n > 3) {
		pre_add(d, len, 0);
		for (n--; n >= 3; n -= k) {
			k = MIN(n, 6);
			pre_add(d, 16, (unsigned int)k - 3);
		}
	}
	for (; n; n--)
		pre_add(d, len, 0);
}

static const uint8_t pre_order[NUM_PRE] = {
	16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
};

static unsigned int pre_extra_bits(unsigned int sym)
{
	return sym < 16 ? 0 : sym == 16 ? 2 : sym == 17 ? 3 : 7;
}

/* Write down the lengths of both codes; the bits that the head will take. */
static size_t head_make(struct deflate *d)
{
	uint8_t len[NUM_LITLEN + NUM_DIST];
	const size_t num = d->litlen.used + d->dist.used;
	size_t bits;

	memcpy(len, d->litlen.len, d->litlen.used);
	memcpy(len + d->litlen.used, d->dist.len, d->dist.used);
	d->num_pre = 0;
	for (size_t i = 0, n; i < num; i += n) {
		for (n = 1; i + n < num && len[i + n] == len[i];)
			n++;
		pre_add_run(d, len[i], n);
	}
	code_make(&d->pre, NUM_PRE, MAX_PRE_BITS);
	d->pre.used = NUM_PRE;
	while (d->pre.used > 4 && !d->pre.len[pre_order[d->pre.used - 1]])
		d->pre.used--;
	bits = 3 + 5 + 5 + 4 + 3 * d->pre.used;
	for (unsigned int i = 0; i < NUM_PRE; i++)
		bits += d->pre.freq[i] * (d->pre.len[i] + pre_extra_bits(i));
	return bits;
}

/* --- writing ------------------------------------------------------------------------------ */

static inline void put_bits(struct bit_writer *w, unsigned int v, unsigned int n)
{
	w->word |= (uint64_t)v << w->n;
	w->n += n;
}

/* Make room for 56 bits. */
static inline void put_word(struct bit_writer *w)
{
	uint64_t word = htole64(w->word);

	memcpy(w->p, &word, sizeof(word));
	w->p += w->n / 8;
	w->word >>= w->n & ~7u;
	w->n &= 7;
}

static inline void put_symbol(struct bit_writer *w, const struct code *c, unsigned int sym)
{
	put_bits(w, c->put[sym] >> PUT_SHIFT, c->put[sym] & ((1 << PUT_SHIFT) - 1));
}

static void put_head(struct bit_writer *w, const struct deflate *d)
{
	put_bits(w, 1 | 2 << 1, 3);     /* the last block, with codes of its own */
	put_bits(w, d->litlen.used - 257, 5);
	put_bits(w, d->dist.used - 1, 5);
	put_bits(w, d->pre.used - 4, 4);
	put_word(w);
	for (unsigned int i = 0; i < d->pre.used; i++) {
		put_bits(w, d->pre.len[pre_order[i]], 3);
		put_word(w);
	}
	for (size_t i = 0; i < d->num_pre; i++) {
		put_symbol(w, &d->pre, d->pre_sym[i]);
		put_bits(w, d->pre_extra[i], pre_extra_bits(d->pre_sym[i]));
		put_word(w);
	}
}

static void put_literals(struct bit_writer *w, const struct code *c, const unsigned char *p,
			 size_t n)
{
	for (; n >= 4; n -= 4, p += 4) {
		put_symbol(w, c, p[0]);
		put_symbol(w, c, p[1]);
		put_symbol(w, c, p[2]);
		put_symbol(w, c, p[3]);
		put_word(w);
	}
	for (; n; n--)
		put_symbol(w, c, *p++);
	put_word(w);
}

static void put_steps(struct bit_writer *writer, const struct deflate *d,
		      const unsigned char *p)
{
	struct bit_writer w = *writer;

	for (size_t i = 0; i < d->num_steps; i++) {
		const struct step *s = &d->steps[i];
		struct part part;

		if (s->literals)
			put_literals(&w, &d->litlen, p, s->literals);
		p += s->literals + s->match;
		if (!s->match)
			break;
		part = length_part(s->match);
		put_symbol(&w, &d->litlen, part.sym);
		put_bits(&w, part.extra, part.num_extra);
		part = dist_part(s->dist + 1u);
		put_symbol(&w, &d->dist, part.sym);
		put_bits(&w, part.extra, part.num_extra);
		put_word(&w);
	}
	put_symbol(&w, &d->litlen, END_OF_BLOCK);
	put_word(&w);
	*writer = w;
}

/* --- all of it ------------------------------------------------------------------------------ */

static size_t extra_cost(const struct deflate *d)
{
	size_t bits = 0;

	for (unsigned int i = 8; i < 28; i++)
		bits += d->litlen.freq[FIRST_LENGTH + i] * (i / 4 - 1);
	for (unsigned int i = 4; i < NUM_DIST; i++)
		bits += d->dist.freq[i] * (i / 2 - 1);
	return bits;
}

size_t deflate_pack(struct deflate *d, void *dst, size_t cap, const void *src, size_t len)
{
	struct bit_writer w = { .p = dst };
	uint32_t sum;
	size_t bits;

	memset(d->litlen.freq, 0, sizeof(d->litlen.freq));
	memset(d->dist.freq, 0, sizeof(d->dist.freq));
	memset(d->pre.freq, 0, sizeof(d->pre.freq));
	find_matches(d, src, len);
	if (is_random(d, len))
		return 0;
	code_make(&d->litlen, NUM_LITLEN, MAX_BITS);
	code_make(&d->dist, NUM_DIST, MAX_BITS);
	bits = head_make(d) + code_cost(&d->litlen) + code_cost(&d->dist) + extra_cost(d);
	if (ZLIB_SIZE + div_up(bits, 8) + SLACK > cap)
		return 0;
	put_bits(&w, 0x0178, 16);
	put_head(&w, d);
	put_steps(&w, d, src);
	w.p += w.n > 0;
	sum = htobe32(libdeflate_adler32(1, src, len));
	memcpy(w.p, &sum, sizeof(sum));
	return (size_t)(w.p - (unsigned char *)dst) + sizeof(sum);
}

struct deflate *deflate_open(size_t max_len)
{
	return malloc(sizeof(struct deflate) +
		      (max_len / MIN_MATCH + 2) * sizeof(struct step));
}

void deflate_close(struct deflate *d)
{
	free(d);
}
