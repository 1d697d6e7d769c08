/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include "values.h"

/* Whether @parse refuses @text because of @piece */
static bool refuses(parse_fn *parse, void *to, const char *text, const char *piece)
{
	struct bad_value bad = { 0 };

	return CHECK(!parse(text, to, &bad)) && CHECK_INT(bad.len, strlen(piece)) &&
	       CHECK(!strncmp(bad.piece, piece, (size_t)bad.len)) && CHECK(*bad.wanted);
}

static void test_size(void)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t value;
	} cases[] = {
		{ "0", true, 0 }, { "4096", true, 4096 }, { "0x1000", true, 0x1000 },
		{ "1K", true, 1024 }, { "2m", true, 2 << 20 }, { "3G", true, 3ull << 30 },
		{ "4t", true, 4ull << 40 }, { "0x10M", true, 16 << 20 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "18446744073709551616", false, 0 }, { "16777216T", false, 0 },
		{ "16777215T", true, 16777215ull << 40 }, { "", false, 0 }, { "-1", false, 0 },
		{ "+1", false, 0 }, { " 1", false, 0 }, { "K", false, 0 }, { "1KB", false, 0 },
		{ "1P", false, 0 }, { "0x", false, 0 }, { "1 K", false, 0 }, { "1*", false, 0 },
		{ "12a", false, 0 }, { "1\xcb", false, 0 },
	};
	struct bad_value bad;
	uint64_t length;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 0;
		bool good = parse_size(cases[i].text, &value, &bad);

		if (!CHECK_INT(good, cases[i].good) || !CHECK_INT(value, cases[i].value))
			fprintf(stderr, "  with '%s'\n", cases[i].text);
	}
	CHECK(parse_length("1", &length, &bad) && length == 1);
	refuses(parse_length, &length, "0", "0");
}

static void test_number(void)
{
	struct bad_value bad;
	unsigned int ms;
	long n = 7;

	CHECK(parse_number("12", 1, 12, &n) && n == 12);
	CHECK(parse_number("-3", -3, 0, &n) && n == -3);
	CHECK(!parse_number("13", 1, 12, &n) && !parse_number("0", 1, 12, &n));
	CHECK(!parse_number("", 0, 12, &n) && !parse_number("1x", 0, 12, &n));
	CHECK(!parse_number("99999999999999999999", 0, 12, &n));
	CHECK_INT(n, -3);
	CHECK(parse_seconds("3", &ms, &bad) && ms == 3000);
	refuses(parse_threads, &ms, "257", "257");
	refuses(parse_files, &ms, "", "");
}

static void test_codec(void)
{
	struct codec_choice codec;
	struct bad_value bad;

	CHECK(parse_codec("zlib", &codec, &bad) && !strcmp(codec.name, "zlib") && !codec.has_level);
	CHECK(parse_codec("zlib:9", &codec, &bad) && !strcmp(codec.name, "zlib") && codec.level == 9);
	CHECK(parse_codec("zstd:-5", &codec, &bad) && codec.has_level && codec.level == -5);
	refuses(parse_codec, &codec, ":3", "");
	refuses(parse_codec, &codec, "zlib:", "zlib:");
	refuses(parse_codec, &codec, "zlib:x", "x");
	refuses(parse_codec, &codec, "an-awfully-long-name-of-a-codec--", "an-awfully-long-name-of-a-codec--");
}

static void test_levels(void)
{
	struct level_list list = { 0 };
	struct bad_value bad;
	char many[100] = "";

	CHECK(parse_levels("0", &list, &bad) && list.num == 1 && !list.levels[0]);
	CHECK(parse_levels("11,31", &list, &bad) && list.num == 2);
	CHECK(list.levels[0] == 11 && list.levels[1] == 31);
	refuses(parse_levels, &list, "11,32", "32");
	refuses(parse_levels, &list, "-1", "-1");
	refuses(parse_levels, &list, "1,,2", "");
	for (size_t i = 0; i < 33; i++)
		strcat(many, i ? ",1" : "1");
	refuses(parse_levels, &list, many, "1");
}

static void test_exclude(void)
{
	struct level_list list = { 0 };
	struct bad_value bad;

	CHECK(parse_exclude("free", &list, &bad) && list.exclude == 16);
	CHECK(parse_exclude("zero,zero", &list, &bad) && list.exclude == 17);
	CHECK(parse_exclude("zero,cache,private,user,free", &list, &bad) && list.exclude == 31);
	refuses(parse_exclude, &list, "", "");
	refuses(parse_exclude, &list, "user,usr,free", "usr");
	CHECK_STR(excluded_kind_name(4), "free");
	CHECK(!excluded_kind_name(5));
}

static bool extent_is(const char *text, uint64_t start, uint64_t size, uint64_t offset)
{
	struct extent_list list = { 0 };
	struct bad_value bad;

	return parse_extent(text, &list, &bad) && list.num == 1 && list.extents[0].start == start &&
	       list.extents[0].size == size && list.extents[0].offset == offset;
}

static void test_extent(void)
{
	static const char *const wrong[][2] = {
		{ "", "" }, { "5", "5" }, { ":1", "" }, { "0:", "" }, { "0:0", "0" }, { "0:1@", "" },
		{ "0@1:2", "0@1:2" }, { "x:1", "x" }, { "0:1@-1", "-1" }, { "0:1:2", "1:2" },
		{ "0:1@2@3", "2@3" }, { "0:foo", "foo" },
	};
	struct extent_list list = { 0 };
	struct bad_value bad;

	CHECK(extent_is("0:4K", 0, 4096, 0));
	CHECK(extent_is("0x100000000:1G@0xc0000000", 0x100000000, 1 << 30, 0xc0000000));
	CHECK(extent_is("4G:512M", 0x100000000, 512 << 20, 0x100000000));
	CHECK(extent_is("1M:1@0", 1 << 20, 1, 0));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		refuses(parse_extent, &list, wrong[i][0], wrong[i][1]);
	CHECK_INT(list.num, 0);
	for (size_t i = 0; i < 64; i++)
		CHECK(parse_extent("0:1", &list, &bad));
	refuses(parse_extent, &list, "0:1", "0:1");
}

static void test_live(void)
{
	struct bad_value bad;
	int live;

	CHECK(parse_live(NULL, &live, &bad) && live == GDUMP_LIVE_YES);
	CHECK(parse_live("try", &live, &bad) && live == GDUMP_LIVE_TRY);
	refuses(parse_live, &live, "perhaps", "perhaps");
}

int main(void)
{
	test_size();
	test_number();
	test_codec();
	test_levels();
	test_exclude();
	test_extent();
	test_live();
	return check_done();
}
