/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include <stdlib.h>

#include "codec/codec.h"
#include "random.h"

enum { MAX_PAGE = 65536 };

static void fill_text(unsigned char *page, size_t len)
{
	static const char text[] = "All happy families are alike; ";

	for (size_t i = 0; i < len; i++)
		page[i] = (unsigned char)text[i % (sizeof(text) - 1)];
}

/* @want_compressed: 1 must shrink, 0 must not */
static void round_trip(const struct codec *codec, int level, const unsigned char *page,
		       size_t len, bool want_compressed)
{
	static unsigned char compressed[MAX_PAGE], again[MAX_PAGE + 1];
	void *compressor = codec->compress_open(level, len), *decompressor = codec->decompress_open();
	size_t n = codec->compress(compressor, compressed, len - 1, page, len);

	CHECK_INT(n > 0, want_compressed);
	CHECK(n < len);
	if (n) {
		again[len] = 0x5a;
		CHECK(codec->decompress(decompressor, again, len, compressed, n));
		CHECK(!memcmp(again, page, len));
		CHECK_INT(again[len], 0x5a);
		/* truncated, and of another length than wanted */
		for (size_t cut = 1; cut <= n && cut < 40; cut++)
			CHECK(!codec->decompress(decompressor, again, len, compressed, n - cut));
		CHECK(!codec->decompress(decompressor, again, len / 2, compressed, n));
		CHECK_INT(again[len], 0x5a);
		CHECK(!codec->decompress(decompressor, again, len - 1, compressed, n));
		if (2 * len <= MAX_PAGE)
			CHECK(!codec->decompress(decompressor, again, 2 * len, compressed, n));
	}
	codec->compress_close(compressor);
	codec->decompress_close(decompressor);
}

static void test_round_trips(const struct codec *codec, int level)
{
	static unsigned char page[MAX_PAGE];
	static const size_t sizes[] = { 4096, 16384, 65536 };
	uint64_t seed = 7;

	for (size_t i = 0; i < 3; i++) {
		memset(page, 0, sizeof(page));
		round_trip(codec, level, page, sizes[i], true);
		fill_text(page, sizes[i]);
		round_trip(codec, level, page, sizes[i], true);
		random_bytes(&seed, page, sizes[i]);
		round_trip(codec, level, page, sizes[i], false);
	}
}

/* Two compressors at once, reused for page after page, give what one gives. */
static void test_reuse(const struct codec *codec)
{
	static unsigned char page[4096], a[4096], b[4096];
	void *used = codec->compress_open(codec->default_level, sizeof(page));

	for (unsigned int i = 0; i < 50; i++) {
		void *fresh = codec->compress_open(codec->default_level, sizeof(page));
		size_t n, m;

		fill_text(page, sizeof(page));
		page[i] = (unsigned char)i;
		n = codec->compress(used, a, sizeof(a), page, sizeof(page));
		m = codec->compress(fresh, b, sizeof(b), page, sizeof(page));
		CHECK(n && n == m && !memcmp(a, b, n));
		codec->compress_close(fresh);
	}
	codec->compress_close(used);
}

/* What was in its memory before changes nothing in what a compressor gives. */
static void test_used_memory(const struct codec *codec, int level)
{
	static unsigned char page[4096], compressed[2][sizeof(page)];
	static const uint16_t fill[] = { 0, 8 };        /* 8: a plausible size of a window */
	const size_t used = 100 << 10;
	uint64_t seed = 11;
	size_t len[2];

	/* the second half is like the first one: worth a reference to far away */
	random_bytes(&seed, page, sizeof(page) / 2);
	memcpy(page + sizeof(page) / 2, page, sizeof(page) / 2);
	for (size_t i = 0; i < 2; i++) {
		uint16_t *volatile memory = malloc(used);
		void *compressor;

		for (size_t k = 0; k < used / sizeof(*memory); k++)
			memory[k] = fill[i];
		free(memory);
		compressor = codec->compress_open(level, sizeof(page));
		len[i] = codec->compress(compressor, compressed[i], sizeof(page), page, sizeof(page));
		codec->compress_close(compressor);
	}
	CHECK_INT(len[0], len[1]);
	CHECK(!memcmp(compressed[0], compressed[1], len[0]));
}

static void test_garbage(const struct codec *codec)
{
	static unsigned char page[4096], junk[256];
	void *decompressor = codec->decompress_open();
	uint64_t seed = 3;

	CHECK(!codec->decompress(decompressor, page, sizeof(page), junk, 0));
	for (int i = 0; i < 500; i++) {
		size_t len = (size_t)random_below(&seed, sizeof(junk)) + 1;

		random_bytes(&seed, junk, len);
		CHECK(!codec->decompress(decompressor, page, sizeof(page), junk, len));
	}
	codec->decompress_close(decompressor);
}

int main(void)
{
	const struct codec *codec;

	for (size_t i = 0; (codec = codec_at(i)); i++) {
		if (!codec->compress)
			continue;
		fprintf(stderr, "codec %s\n", codec->name);
		test_round_trips(codec, codec->min_level);
		test_round_trips(codec, codec->default_level);
		test_round_trips(codec, codec->max_level);
		test_reuse(codec);
		test_used_memory(codec, codec->min_level);
		test_used_memory(codec, codec->default_level);
		test_garbage(codec);
	}
	return check_done();
}
