/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"

#include "options.h"

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

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 0;
		bool good = parse_size(cases[i].text, &value);

		if (!CHECK_INT(good, cases[i].good) || !CHECK_INT(value, cases[i].value))
			fprintf(stderr, "  with '%s'\n", cases[i].text);
	}
}

static void test_number(void)
{
	long n = 7;

	CHECK(parse_number("12", 1, 12, &n) && n == 12);
	CHECK(parse_number("-3", -3, 0, &n) && n == -3);
	CHECK(!parse_number("13", 1, 12, &n) && !parse_number("0", 1, 12, &n));
	CHECK(!parse_number("", 0, 12, &n) && !parse_number("1x", 0, 12, &n));
	CHECK(!parse_number("99999999999999999999", 0, 12, &n));
	CHECK_INT(n, -3);
}

static void test_codec(void)
{
	char plain[] = "zlib", level[] = "zlib:9", negative[] = "zstd:-5", empty[] = ":3",
	     bad[] = "zlib:", worse[] = "zlib:x";
	const char *codec;
	int n;

	CHECK(parse_codec(plain, &codec, &n) && !strcmp(codec, "zlib") && n == 0);
	CHECK(parse_codec(level, &codec, &n) && !strcmp(codec, "zlib") && n == 9);
	CHECK(parse_codec(negative, &codec, &n) && !strcmp(codec, "zstd") && n == -5);
	CHECK(!parse_codec(empty, &codec, &n) && !parse_codec(bad, &codec, &n));
	CHECK(!parse_codec(worse, &codec, &n));
}

static void test_drop(void)
{
	char all[] = "zero,cache,private,user,free", one[] = "free", empty[] = "",
	     bad[] = "zero,kernel", twice[] = "zero,zero";
	unsigned int drop;

	CHECK(parse_exclude(all, &drop) && drop == 31);
	CHECK(parse_exclude(one, &drop) && drop == 16);
	CHECK(parse_exclude(twice, &drop) && drop == 1);
	CHECK(!parse_exclude(empty, &drop) && !parse_exclude(bad, &drop));
	{ char t[] = "11,31"; unsigned int d[2]; CHECK(parse_levels(t, d, 2) == 2 && d[0] == 11 && d[1] == 31); }
	{ char t[] = "0"; CHECK(parse_levels(t, &drop, 1) == 1 && drop == 0); }
	{ char t[] = "32", u[] = "-1", v[] = "1,2"; CHECK(!parse_levels(t, &drop, 1) && !parse_levels(u, &drop, 1) && !parse_levels(v, &drop, 1)); }
}

static bool place_is(const char *text, uint64_t start, uint64_t size, uint64_t offset)
{
	struct gdump_extent p;
	char copy[64];

	snprintf(copy, sizeof(copy), "%s", text);
	return parse_extent(copy, &p) && p.start == start && p.size == size && p.offset == offset;
}

static void test_place(void)
{
	static const char *const bad[] = {
		"", "0", ":1", "0:", "0:0", "0:1@", "0@1:2", "x:1", "0:1@-1", "0:1:2", "0:1@2@3",
	};
	struct gdump_extent p;
	char copy[64];

	CHECK(place_is("0:4K", 0, 4096, 0));
	CHECK(place_is("0x100000000:1G@0xc0000000", 0x100000000, 1 << 30, 0xc0000000));
	CHECK(place_is("4G:512M", 0x100000000, 512 << 20, 0x100000000));
	CHECK(place_is("1M:1@0", 1 << 20, 1, 0));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(copy, sizeof(copy), "%s", bad[i]);
		CHECK(!parse_extent(copy, &p));
	}
}

int main(void)
{
	test_size();
	test_number();
	test_codec();
	test_drop();
	test_place();
	return check_done();
}
