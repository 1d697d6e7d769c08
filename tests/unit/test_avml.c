/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "dumpfile.h"

#include "codec/codec.h"
#include "random.h"
#include "util/crc32c.h"

enum { HEADER = 32, FRAME = 65536, IDENT = 10 };

/* Memory of the tests: text that compresses well, at any address. */
static void fill(uint64_t paddr, unsigned char *p, size_t len)
{
	static const char text[] = "the quick brown fox jumps over the lazy dog, ";

	for (size_t i = 0; i < len; i++)
		p[i] = (unsigned char)text[(paddr + i + (paddr + i) / 5000) % (sizeof(text) - 1)];
}

static uint32_t mask(uint32_t crc)
{
	return (crc >> 15 | crc << 17) + 0xa282ead8;
}

static void put_frame(struct blob *b, bool compressed, uint64_t paddr, size_t len)
{
	static unsigned char plain[FRAME], small[FRAME];
	size_t n = len;

	fill(paddr, plain, len);
	if (compressed) {
		void *compressor = codec_snappy.compress_open(1, len);

		n = codec_snappy.compress(compressor, small, sizeof(small), plain, len);
		codec_snappy.compress_close(compressor);
		CHECK(n > 0);
	}
	blob_put_le(b, compressed ? 0 : 1, 1);
	blob_put_le(b, n + 4, 3);
	blob_put_le(b, mask(crc32c(plain, len)), 4);
	blob_put(b, compressed ? small : plain, n);
}

static void put_record(struct blob *b, uint64_t paddr, uint64_t size)
{
	size_t begin;

	blob_put(b, "AVML\2\0\0\0", 8);
	blob_put_le(b, paddr, 8);
	blob_put_le(b, paddr + size - 1, 8);
	blob_put_le(b, 0, 8);
	begin = b->len;
	blob_put(b, "\xff\6\0\0sNaPpY", IDENT);
	for (uint64_t at = 0, i = 0; at < size; at += FRAME, i++) {
		put_frame(b, i % 3 != 1, paddr + at, size - at < FRAME ? size - at : FRAME);
		if (i == 1)
			blob_put(b, "\xfe\2\0\0\0\0", 6);       /* padding */
	}
	blob_put_le(b, b->len - begin, 8);
}

static void test_crc(void)
{
	CHECK_INT(crc32c("123456789", 9), 0xe3069283);
	CHECK_INT(crc32c("", 0), 0);
}

static void check_memory(struct gdump *g, uint64_t paddr, size_t len)
{
	unsigned char *got = malloc(len), *want = malloc(len);

	CHECK_OK(gdump_read(g, paddr, got, len));
	fill(paddr, want, len);
	CHECK(!memcmp(got, want, len));
	free(got);
	free(want);
}

static void test_read(void)
{
	struct blob b = { 0 };
	struct gdump_result result;
	struct gdump *g;

	put_record(&b, 0x100000, 5 * FRAME + 0x3000);
	put_record(&b, 0x1000, 0x9000);
	put_record(&b, 0x100000 + 5 * FRAME + 0x3000, FRAME);
	blob_save(&b, "a.avml");
	CHECK_OK(open_dump("a.avml", &g));
	CHECK_STR(gdump_info(g)->format, "avml");
	CHECK_INT(gdump_info(g)->num_ranges, 2);
	CHECK_INT(gdump_info(g)->num_excluded, 0);
	CHECK(!gdump_info(g)->incomplete);
	check_memory(g, 0x1000, 0x9000);
	check_memory(g, 0x100000, 6 * FRAME + 0x3000);
	check_memory(g, 0x100000 + FRAME - 7, 3 * FRAME);
	check_memory(g, 0x1fff, 2);
	gdump_close(g);

	CHECK_OK(convert_dump("a.avml", "a.kdump", (struct gdump_write_options){ 0 }, &result));
	CHECK_INT(result.unreadable, 0);
	CHECK_OK(open_dump("a.kdump", &g));
	check_memory(g, 0x100000, 6 * FRAME + 0x3000);
	gdump_close(g);
	blob_free(&b);
}

/* AVML 0.16: the header of a block of zeros, and nothing behind it */
static void test_zero_block(void)
{
	unsigned char got[2 * FRAME], zeros[2 * FRAME] = { 0 };
	struct blob b = { 0 };
	struct gdump *g;

	put_record(&b, 0, FRAME);
	blob_put(&b, "AVML\2\0\0\0", 8);
	blob_put_le(&b, FRAME, 8);
	blob_put_le(&b, 3 * FRAME - 1, 8);
	blob_put_le(&b, 0, 8);
	put_record(&b, 3 * FRAME, FRAME);
	blob_save(&b, "zeros");
	CHECK_OK(open_dump("zeros", &g));
	CHECK(!gdump_info(g)->incomplete);
	CHECK_INT(gdump_info(g)->num_excluded, 0);
	check_memory(g, 0, FRAME);
	CHECK_OK(gdump_read(g, FRAME, got, sizeof(got)));
	CHECK(!memcmp(got, zeros, sizeof(got)));
	check_memory(g, 3 * FRAME, FRAME);
	gdump_close(g);
	blob_free(&b);
}

static void test_cut_short(void)
{
	struct blob b = { 0 };
	struct gdump *g;
	size_t whole;

	put_record(&b, 0, 3 * FRAME);
	whole = b.len;
	/* in the trailer, in the last frame, in a frame's header, in the record's header */
	for (size_t cut = 1; cut < whole - HEADER; cut += cut < 12 ? 1 : 997) {
		b.len = whole - cut;
		blob_save(&b, "cut");
		CHECK_OK(open_dump("cut", &g));
		CHECK(gdump_info(g)->incomplete);
		CHECK_INT(gdump_info(g)->num_pages, 48);
		if (cut <= 8)
			check_memory(g, 0, 3 * FRAME);
		gdump_close(g);
	}
	b.len = 20;
	blob_save(&b, "cut");
	CHECK_OK(open_dump("cut", &g));
	CHECK_INT(gdump_info(g)->num_ranges, 0);
	gdump_close(g);
	blob_free(&b);
}

static void test_hostile(void)
{
	struct blob b = { 0 };
	struct gdump *g;
	unsigned char page[4096];
	const size_t frame = HEADER + IDENT;

	put_record(&b, 0, FRAME);
	blob_set_le(&b, b.len - 8, 17, 8);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "17 bytes of frames, but there are");
	blob_set_le(&b, frame, 0x02, 1);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "snappy frame at offset 0x2a: unknown type 0x2");
	blob_set_le(&b, frame, 0x01, 1);
	blob_set_le(&b, frame + 1, 0x20000, 3);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "invalid decompressed size");
	blob_set_le(&b, frame + 1, 4, 3);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "invalid length 0x4");
	blob_set_le(&b, 4, 9, 4);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_UNSUPPORTED, "version 9");
	blob_free(&b);

	/* a frame is larger than what is left of its record */
	put_record(&b, 0, FRAME);
	blob_set_le(&b, 16, 0x7fff, 8);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "its record ends before");
	blob_free(&b);

	put_record(&b, 0, FRAME);
	put_record(&b, 0x8000, FRAME);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "two records contain the same memory");
	blob_free(&b);

	put_record(&b, 0, FRAME);
	b.p[frame + 5] ^= 1;
	blob_save(&b, "crc");
	CHECK_OK(open_dump("crc", &g));
	CHECK_ERR(gdump_read(g, 0, page, sizeof(page)), GDUMP_ERR_CORRUPT, "checksum");
	gdump_close(g);
	blob_free(&b);
}

/* Whatever is broken, nothing worse than an error comes of it. */
static void test_flipped_bytes(void)
{
	struct blob b = { 0 };
	unsigned char page[4096];
	uint64_t seed = 11;

	put_record(&b, 0x1000, FRAME);
	put_record(&b, 0x40000, 2 * FRAME);
	for (int i = 0; i < 400; i++) {
		const size_t at = (size_t)random_below(&seed, b.len);
		const unsigned char old = b.p[at];
		struct gdump *g;

		b.p[at] = (unsigned char)random_next(&seed);
		blob_save(&b, "flip");
		gdump_error_destroy(open_dump("flip", &g));
		if (g)
			gdump_error_destroy(gdump_read(g, 0x40000, page, sizeof(page)));
		gdump_close(g);
		b.p[at] = old;
	}
	blob_free(&b);
}

int main(void)
{
	struct blob b = { 0 };

	dumpfile_dir();
	test_crc();
	if (codec_snappy.compress) {
		test_read();
		test_zero_block();
		test_cut_short();
		test_hostile();
		test_flipped_bytes();
	} else {
		blob_put(&b, "AVML\2\0\0\0", 8);
		CHECK_ERR(try_blob(&b), GDUMP_ERR_UNSUPPORTED, "compressed with snappy");
		blob_free(&b);
	}
	dumpfile_done();
	return check_done();
}
