/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"

#include <libdeflate.h>
#include <stdlib.h>

#include "codec/deflate.h"
#include "random.h"
#include "util/bits.h"

enum { AROUND = 16, NUM_SHAPES = 8, ROUNDS = 3000 };

static unsigned char page[DEFLATE_MAX], again[DEFLATE_MAX];
static unsigned char packed[DEFLATE_MAX + AROUND];

/* One byte of @shape at @i; what is before it is there. */
static unsigned char next_byte(unsigned int shape, uint64_t r, size_t i, unsigned int k)
{
	const size_t far = i > 32768 ? 32768 : i;

	switch (shape) {
	case 0:         /* few values */
		return (unsigned char)(r & k);
	case 1:         /* repeated at one distance, with faults */
		return i > k && r % 10 ? page[i - k - 1] : (unsigned char)(r >> 8);
	case 2:         /* frequencies 1, 2, 4, 8...: the longest codes */
		return (unsigned char)(7 * __builtin_ctzll(r | 1u << 20));
	case 3:         /* next to nothing */
		return r % 1000 ? 0 : (unsigned char)(r >> 20);
	case 4:         /* repeated from anywhere */
		return i && r % 4 ? page[i - 1 - (r >> 8) % far] : (unsigned char)(r >> 40);
	case 5:         /* random with islands of zero: just so, or just not */
		return i % 1024 < k ? 0 : (unsigned char)(r >> 8);
	case 6:         /* each pair of bytes once: no match, but not random */
		return i % 2 ? (unsigned char)(i / 64) : (unsigned char)(i / 2 % 32);
	default:
		return (unsigned char)(r >> 8);
	}
}

static void fill(uint64_t *seed, unsigned int shape, size_t len)
{
	const unsigned int k = (unsigned int)random_below(seed, 256);

	for (size_t i = 0; i < len; i++)
		page[i] = next_byte(shape, random_next(seed), i, k);
}

/* What is packed unpacks again, and nothing is written behind @cap. */
static bool round_trip(struct deflate *d, size_t len, size_t cap)
{
	struct libdeflate_decompressor *u = libdeflate_alloc_decompressor();
	size_t n, used, got;

	memset(packed, 0xa5, sizeof(packed));
	n = deflate_pack(d, packed, cap, page, len);
	for (size_t i = cap; i < cap + AROUND; i++)
		CHECK_INT(packed[i], 0xa5);
	CHECK(n <= cap);
	if (n) {
		CHECK_INT(libdeflate_zlib_decompress_ex(u, packed, n, again, len, &used, &got), 0);
		CHECK_INT(used, n);
		CHECK_INT(got, len);
		CHECK(!memcmp(page, again, len));
	}
	libdeflate_free_decompressor(u);
	return n > 0;
}

static void test_shapes(void)
{
	struct deflate *d = deflate_open(DEFLATE_MAX);
	uint64_t seed = 11;
	size_t packs = 0;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		size_t len = i % 3 ? 4096 : 1 + (size_t)random_below(&seed, DEFLATE_MAX);
		size_t cap = i % 5 ? len - 1 : (size_t)random_below(&seed, len);

		fill(&seed, i % NUM_SHAPES, len);
		packs += round_trip(d, len, cap);
	}
	CHECK(packs > ROUNDS / 2);
	deflate_close(d);
}

static void test_small(void)
{
	struct deflate *d = deflate_open(64);
	uint64_t seed = 5;

	for (size_t len = 1; len <= 64; len++) {
		for (unsigned int shape = 0; shape < NUM_SHAPES; shape++) {
			fill(&seed, shape, len);
			round_trip(d, len, 200);
		}
	}
	deflate_close(d);
}

/* A page of random bytes is given up, one with room for a few bytes less is not. */
static void test_random(void)
{
	struct deflate *d = deflate_open(4096);
	uint64_t seed = 9;

	for (int i = 0; i < 50; i++) {
		random_bytes(&seed, page, 4096);
		CHECK(!round_trip(d, 4096, 4095));
		memset(page + 1000, 0, 300);
		CHECK(round_trip(d, 4096, 4095));
	}
	deflate_close(d);
}

int main(void)
{
	test_shapes();
	test_small();
	test_random();
	return check_done();
}
