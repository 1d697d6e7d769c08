/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * Codecs seen through kdump files: levels, files with pages of every codec, and
 * codecs that this build does not have.
 */
#include "dumpfile.h"

#include "codec/codec.h"
#include "format/kdump.h"

enum { PAGE = 4096, NUM_PAGES = 64 };

/* Text that compresses well, other on every page. */
static void fill(unsigned int n, unsigned char *page)
{
	for (unsigned int i = 0; i < PAGE; i++)
		page[i] = (unsigned char)((unsigned char)"guestdump"[i % 9] + i / 200 % 7 +
					  (n + i / 64) % 5);
}

static void make_input(void)
{
	struct blob b = { 0 };

	blob_put(&b, "EMiL\1\0\0\0", 8);
	blob_put_le(&b, 0, 8);
	blob_put_le(&b, NUM_PAGES * PAGE - 1, 8);
	blob_put_le(&b, 0, 8);
	for (unsigned int n = 0; n < NUM_PAGES; n++) {
		blob_put(&b, NULL, PAGE);
		fill(n, b.p + b.len - PAGE);
	}
	blob_save(&b, "in");
	blob_free(&b);
}

static void check_pages(const char *name)
{
	unsigned char want[PAGE], got[PAGE];
	struct gdump *g;

	CHECK_OK(open_dump(name, &g));
	for (unsigned int n = 0; g && n < NUM_PAGES; n++) {
		fill(n, want);
		CHECK_OK(gdump_read(g, (uint64_t)n * PAGE, got, PAGE));
		CHECK(!memcmp(got, want, PAGE));
	}
	gdump_close(g);
}

static struct gdump_error *compress(const char *codec, int level, bool has_level,
				struct gdump_result *result)
{
	return convert_dump("in", "out", (struct gdump_write_options){
		.codec = codec, .level = level, .has_level = has_level, .no_checksum = true },
		result);
}

static void test_levels(const struct codec *c)
{
	const int levels[] = { c->min_level, c->default_level, c->max_level };
	struct gdump_result result;

	for (size_t i = 0; i < 3; i++) {
		CHECK_OK(compress(c->name, levels[i], true, &result));
		CHECK_INT(result.compressed, NUM_PAGES);
		check_pages("out");
	}
	CHECK_ERR(compress(c->name, c->min_level - 1, true, NULL), GDUMP_ERR_USAGE, "levels");
	CHECK_ERR(compress(c->name, c->max_level + 1, false, NULL), GDUMP_ERR_USAGE, "levels");
}

/* 0 is the default, unless it is said to be meant. */
static void test_level_zero(void)
{
	struct gdump_result usual, one, zero;

	CHECK_OK(compress("zlib", 0, false, &usual));
	CHECK_OK(compress("zlib", 1, false, &one));
	CHECK_INT(usual.bytes, one.bytes);
	if (codec_zlib.min_level) {
		CHECK_ERR(compress("zlib", 0, true, NULL), GDUMP_ERR_USAGE, "level 0 is ISA-L's");
		return;
	}
	CHECK_OK(compress("zlib", 0, true, &zero));
	CHECK(zero.bytes != one.bytes);
	CHECK_INT(zero.compressed, NUM_PAGES);
	check_pages("out");
}

/* Where page @n's descriptor is in a file of ours with 64-bit headers. */
static size_t desc_at(const struct blob *b, unsigned int n)
{
	const uint64_t sub = load_le(b->p + 432, 4), bitmap = load_le(b->p + 436, 4);

	return (size_t)(1 + sub + bitmap) * PAGE + n * KDUMP_DESC_SIZE;
}

/* Compress page @n of a file of raw pages with @c, if that compresses, and move it to *@to, which
 * is then the place of the next one.
 */
static void recompress(struct blob *b, unsigned int n, const struct codec *c, uint64_t *to)
{
	const size_t desc = desc_at(b, n);
	unsigned char page[PAGE], compressed[PAGE];
	size_t len = PAGE;

	fill(n, page);
	CHECK(!memcmp(b->p + load_le(b->p + desc, 8), page, PAGE));
	memcpy(compressed, page, PAGE);
	if (c->compress) {
		void *compressor = c->compress_open(c->default_level, PAGE);

		len = c->compress(compressor, compressed, PAGE - 1, page, PAGE);
		c->compress_close(compressor);
	}
	memcpy(b->p + *to, compressed, len);
	blob_set_le(b, desc, *to, 8);
	blob_set_le(b, desc + 8, len, 4);
	blob_set_le(b, desc + 12, c->compress ? c->kdump_flag : 0, 4);
	*to += len;
}

static void test_mixed(void)
{
	struct blob b;
	uint64_t to;

	CHECK_OK(compress("none", 0, false, NULL));
	check_pages("out");
	b = blob_load("out");
	to = load_le(b.p + desc_at(&b, 0), 8);
	for (unsigned int n = 0; n < NUM_PAGES; n++)
		recompress(&b, n, codec_at(n % NUM_CODECS), &to);
	blob_save(&b, "mixed");
	check_pages("mixed");
	CHECK_OK(convert_dump("mixed", "again", (struct gdump_write_options){
				.codec = "none", .no_checksum = true }, NULL));
	CHECK(same_file("again", "out"));
	blob_free(&b);
}

/* A page says that it is compressed with what it is not, or with what we lack. */
static void test_wrong(const struct codec *c)
{
	unsigned char page[PAGE];
	struct gdump *g;
	struct blob b;

	CHECK_OK(compress("none", 0, false, NULL));
	b = blob_load("out");
	blob_set_le(&b, desc_at(&b, 5) + 12, c->kdump_flag, 4);
	blob_save(&b, "wrong");
	CHECK_OK(open_dump("wrong", &g));
	CHECK_OK(gdump_read(g, 4 * PAGE, page, PAGE));
	if (c->decompress)
		CHECK_ERR(gdump_read(g, 5 * PAGE, page, PAGE), GDUMP_ERR_CORRUPT, "page 0x5: ");
	else
		CHECK_ERR(gdump_read(g, 5 * PAGE, page, PAGE), GDUMP_ERR_UNSUPPORTED, c->name);
	gdump_close(g);
	blob_free(&b);
}

int main(void)
{
	const struct codec *c;

	dumpfile_dir();
	make_input();
	test_level_zero();
	test_mixed();
	for (size_t i = 0; (c = codec_at(i)); i++) {
		if (!c->kdump_flag)
			continue;
		if (c->compress)
			test_levels(c);
		else
			CHECK_ERR(compress(c->name, 0, false, NULL), GDUMP_ERR_UNSUPPORTED, c->name);
		test_wrong(c);
	}
	dumpfile_done();
	return check_done();
}
