/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <zlib.h>

#include "codec/pagedeflate.h"
#include "codec/pagedeflate_inside.h"
#include "random.h"

static struct pagedeflate *z;

/* Compress a page from memory that ends where it ends, and decompress it. */
static size_t round_trip(const unsigned char *page)
{
	struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
	unsigned char again[PAGE], *copy = malloc(PAGE), *tight, out[PAGE];
	const size_t size = pagedeflate_compress(z, out, PAGE, memcpy(copy, page, PAGE));
	uLongf len = PAGE;

	CHECK(size < PAGE);
	tight = malloc(size + !size);
	if (size) {
		CHECK_INT(pagedeflate_compress(z, tight, size, copy), size);
		CHECK(!memcmp(tight, out, size));
		CHECK_INT(pagedeflate_compress(z, tight, size - 1, copy), 0);
		CHECK_INT(libdeflate_zlib_decompress(d, out, size, again, PAGE, NULL), 0);
		CHECK(!memcmp(again, page, PAGE));
		memset(again, 0, PAGE);
		CHECK_INT(uncompress(again, &len, out, (uLong)size), Z_OK);
		CHECK(len == PAGE && !memcmp(again, page, PAGE));
	}
	free(tight);
	free(copy);
	libdeflate_free_decompressor(d);
	return size;
}

/* The tokens of a page, which are checked against it. */
static unsigned int find(const unsigned char *page, uint32_t *tokens)
{
	static unsigned char again[PAGE + MAX_MATCH];
	const unsigned int num = matches_find(page, tokens);
	unsigned int at = 0, length = 0, i;

	for (i = 0; i < num && at <= PAGE; i++) {
		const unsigned int s = token_symbol(tokens[i]), x = token_extra(tokens[i]);

		if (s < END_OF_BLOCK) {
			again[at++] = (unsigned char)s;
		} else if (s >= DISTANCES) {
			static const uint16_t base[] = { 1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97,
				129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073 };
			const unsigned int distance = base[s - DISTANCES] + x;

			CHECK(distance <= at);
			for (; length && distance <= at; length--, at++)
				again[at] = again[at - distance];
		} else if (s > END_OF_BLOCK) {
			static const uint8_t base[] = { 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27,
				31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227 };

			length = s == LENGTHS + 28 ? MAX_MATCH : base[s - LENGTHS] + x;
		}
	}
	CHECK_INT(at, PAGE);
	CHECK(i == num && tokens[num - 1] == END_OF_BLOCK);
	CHECK(!memcmp(again, page, PAGE));
	return num;
}

/* How many tokens have this symbol */
static unsigned int count(const uint32_t *tokens, unsigned int num, unsigned int symbol)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < num; i++)
		n += token_symbol(tokens[i]) == symbol;
	return n;
}

static void test_equal_bytes(void)
{
	unsigned char page[PAGE];
	uint32_t tokens[MAX_TOKENS];
	unsigned int num;

	for (unsigned int byte = 0; byte < 256; byte += 51) {
		memset(page, (int)byte, PAGE);
		num = find(page, tokens);
		/* a literal, 15 matches of 258, all of distance 1, and the rest */
		CHECK_INT(count(tokens, num, LENGTHS + 28), 15);
		CHECK_INT(count(tokens, num, DISTANCES), 16);
		CHECK_INT(num, 1 + 2 * 16 + 1);
		CHECK(round_trip(page) < 40);
	}
}

/* Words that all differ, of 128 values: smaller by the codes alone, and a distance alphabet that
 * is not used.
 */
static void test_no_matches(void)
{
	unsigned char page[PAGE];
	uint32_t tokens[MAX_TOKENS];
	size_t size;

	/* the fourth byte of each word is above all others, so none begins at another place */
	for (unsigned int i = 0; i < PAGE; i += 4) {
		page[i] = (unsigned char)(i / 4 % 32);
		page[i + 1] = (unsigned char)(i / 128 % 32);
		page[i + 2] = (unsigned char)((i / 4 * 7 + i / 128) % 32 + 32);
		page[i + 3] = (unsigned char)(64 + (i / 4 * 11 + i / 128 * 3) % 32);
	}
	CHECK_INT(find(page, tokens), PAGE + 1);
	size = round_trip(page);
	CHECK(size > PAGE / 2 && size < PAGE);
}

static void test_random(void)
{
	unsigned char page[PAGE];
	uint64_t seed = 5;

	random_bytes(&seed, page, PAGE);
	CHECK_INT(round_trip(page), 0);
}

/* The same four or more bytes at both ends of a page */
static void test_far_distance(void)
{
	unsigned char page[PAGE] = { 0 };
	uint32_t tokens[MAX_TOKENS];

	for (unsigned int length = 4; length < 20; length++) {
		unsigned int num;

		for (unsigned int i = 0; i < length; i++)
			page[i] = page[PAGE - length + i] = (unsigned char)(i + 1);
		num = find(page, tokens);
		CHECK_INT(tokens[num - 2], token(DISTANCES + 23, PAGE - length - 1 - 3072));
		round_trip(page);
	}
}

/* Matches of every length at every distance of interest */
static void test_lengths_and_distances(void)
{
	static const unsigned int distances[] = { 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 63, 64, 65, 258, 259,
		1024, 1025, 2048, 2049, 3000 };
	unsigned char page[PAGE];
	uint32_t tokens[MAX_TOKENS];

	for (unsigned int length = 1; length < 300; length++) {
		for (size_t d = 0; d < sizeof(distances) / sizeof(*distances); d++) {
			uint64_t seed = length * 1000 + d;

			random_bytes(&seed, page, PAGE);
			for (unsigned int i = 3500; i < 3500 + length; i++)
				page[i] = page[i - distances[d]];
			find(page, tokens);
			if (length % 16 == 0) {
				memset(page + 100, 0, 300);
				round_trip(page);
			}
		}
	}
}

/* Pages of random structure: repeats, runs, few values, at random */
static void test_mixtures(void)
{
	unsigned char page[PAGE];
	uint32_t tokens[MAX_TOKENS];

	for (uint64_t seed = 1, n = 0; n < 3000; n++) {
		const uint64_t values = 1 + random_below(&seed, 256);

		for (unsigned int at = 0, len; at < PAGE; at += len) {
			const unsigned int rest = PAGE - at;

			len = 1 + (unsigned int)random_below(&seed, random_below(&seed, 4) ? 12 : 600);
			len = len < rest ? len : rest;
			if (at && random_below(&seed, 2)) {
				const unsigned int from = (unsigned int)random_below(&seed, at);

				for (unsigned int i = 0; i < len; i++)
					page[at + i] = page[from + i];
				continue;
			}
			for (unsigned int i = 0; i < len; i++)
				page[at + i] = (unsigned char)random_below(&seed, values);
		}
		find(page, tokens);
		round_trip(page);
	}
}

/* The lengths are a complete code, as inflate wants it, none too long, and rarer is not shorter
 * by more than a bit.
 */
static void check_coding(const struct alphabet *a, const uint16_t *counts)
{
	static struct code_tables tables;
	struct code codes[NUM_SYMBOLS];
	struct coding c;
	unsigned int room = 0, bits = 0;

	code_tables_init(&tables);
	coding_choose(&tables, a, counts, &c);
	CHECK(c.num >= 2);
	CHECK_INT(coding_assign(&tables, &c, counts, codes) > 0 || !counts[c.symbol[0]], 1);
	for (unsigned int i = 0; i < c.num; i++) {
		CHECK(c.len[i] >= 1 && c.len[i] <= a->max_len);
		CHECK(!i || c.symbol[i] > c.symbol[i - 1]);
		room += (1u << 15) >> c.len[i];
		bits += (unsigned int)counts[c.symbol[i]] * c.len[i];
		for (unsigned int k = 0; k < c.num; k++)
			CHECK(counts[c.symbol[i]] <= counts[c.symbol[k]] || c.len[i] <= c.len[k] + 1);
	}
	CHECK_INT(room, 1 << 15);
	CHECK(bits <= 15 * (PAGE + 1));
}

static void test_codes(void)
{
	const struct alphabet all = { 0, DISTANCES, 15 };
	const struct alphabet lengths = { CODE_LENGTHS, 19, 7 };
	uint16_t counts[NUM_SYMBOLS] = { 0 };
	uint64_t seed = 9;

	check_coding(&all, counts);                     /* no symbol            */
	counts[200] = 4096;
	check_coding(&all, counts);                     /* one                  */
	counts[200] = 0;
	counts[0] = 1;
	check_coding(&all, counts);                     /* the first            */
	for (unsigned int i = 0, a = 1, b = 1; a < 2000; i++, b = a + b, a = b - a)
		counts[i * 17 % 286] = (uint16_t)a;     /* Fibonacci's numbers  */
	check_coding(&all, counts);
	memset(counts, 0, sizeof(counts));
	for (unsigned int i = 0, a = 1, b = 1; a < 200; i++, b = a + b, a = b - a)
		counts[CODE_LENGTHS + i] = (uint16_t)a;
	check_coding(&lengths, counts);
	for (unsigned int n = 0; n < 3000; n++) {
		const uint64_t most = (uint64_t)1 << random_below(&seed, 9);
		unsigned int left = 4097;

		memset(counts, 0, sizeof(counts));
		for (unsigned int s = 0; s < DISTANCES; s++) {
			const uint64_t want = random_below(&seed, 1 + random_below(&seed, most));

			counts[s] = (uint16_t)(want < left ? want : left);
			left -= counts[s];
		}
		check_coding(&all, counts);
		left = 312;
		for (unsigned int s = 0; s < 19; s++) {
			const uint64_t want = random_below(&seed, 1 + random_below(&seed, most));

			counts[CODE_LENGTHS + s] = (uint16_t)(want < left ? want : left);
			left -= counts[CODE_LENGTHS + s];
		}
		check_coding(&lengths, counts);
	}
}

/* Bytes in Fibonacci's numbers, whose Huffman codes would have more than 15 bits */
static void test_fibonacci_page(void)
{
	unsigned char page[PAGE];
	uint64_t seed = 2;
	unsigned int n = 0;

	for (unsigned int i = 0, a = 1, b = 1; n < PAGE; i++, b = a + b, a = b - a) {
		for (unsigned int k = 0; k < a && n < PAGE; k++)
			page[n++] = (unsigned char)i;
	}
	CHECK(round_trip(page));
	for (unsigned int i = PAGE - 1; i; i--) {
		const unsigned int k = (unsigned int)random_below(&seed, i + 1);
		const unsigned char byte = page[i];

		page[i] = page[k];
		page[k] = byte;
	}
	CHECK(round_trip(page));
}

/* Every CPU and compiler gives the same bytes.  Whoever improves the compression changes the sum. */
static void test_same_bytes(void)
{
	unsigned char page[PAGE], out[PAGE];
	uint64_t seed = 1;
	uint32_t sum = 1;

	for (unsigned int n = 0; n < 200; n++) {
		const uint64_t values = 2 + random_below(&seed, 60);

		for (unsigned int i = 0; i < PAGE; i++) {
			const unsigned int from = i > 64 ? (unsigned int)random_below(&seed, 64) : 0;

			page[i] = from > 8 ? page[i - from] : (unsigned char)random_below(&seed, values);
		}
		sum = libdeflate_adler32(sum, out, pagedeflate_compress(z, out, PAGE, page));
	}
	CHECK_INT(sum, 0x72013283);
}

int main(void)
{
	z = pagedeflate_open();
	test_equal_bytes();
	test_no_matches();
	test_random();
	test_far_distance();
	test_lengths_and_distances();
	test_mixtures();
	test_codes();
	test_fibonacci_page();
	test_same_bytes();
	pagedeflate_close(z);
	return check_done();
}
