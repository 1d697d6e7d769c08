/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "dumpfile.h"

#include <sys/stat.h>

#include "format/ranges.h"
#include "random.h"

enum { PAGE = 4096 };

/* LiME with two ranges; the first page is a trap: it looks like an ELF file. */
static struct blob make_lime(uint64_t second)
{
	static const uint64_t size[] = { 3 * PAGE - 0x400, 20 * PAGE };
	const uint64_t start[] = { 0, second };
	struct blob b = { 0 };
	uint64_t seed = 5;

	for (size_t i = 0; i < 2; i++) {
		blob_put(&b, "EMiL\1\0\0\0", 8);
		blob_put_le(&b, start[i], 8);
		blob_put_le(&b, start[i] + size[i] - 1, 8);
		blob_put_le(&b, 0, 8);
		blob_put(&b, NULL, size[i]);
		random_bytes(&seed, b.p + b.len - size[i], size[i]);
	}
	memcpy(b.p + 32, "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\4\0\76\0", 20);
	memset(b.p + b.len - 7 * PAGE, 0, 4 * PAGE);
	return b;
}

static void save_input(const char *name, uint64_t second)
{
	struct blob b = make_lime(second);

	blob_save(&b, name);
	blob_free(&b);
}

static struct gdump_error *to_raw(const char *from, const char *to)
{
	return convert_dump(from, to, (struct gdump_write_options){ .format = "raw" }, NULL);
}

static void test_text(void)
{
	static const char text[] = "guestdump-ranges 1\nsize 90112\nmachine s390x\nbyte-order big\n"
				   "page-size 4096\n0x0:0x1000@0x0 ram\n0x8000:0x400@0x2000 device\n";
	struct ranges r = { 0 };
	char *again;

	CHECK_OK(ranges_parse(text, strlen(text), &r));
	CHECK_INT(r.num, 2);
	CHECK_INT(r.file_size, 90112);
	CHECK_INT(r.list[1].paddr, 0x8000);
	CHECK_INT(r.list[1].kind, GDUMP_RANGE_DEVICE);
	CHECK(r.big && r.machine && r.page_size == 4096);
	again = ranges_text(&r);
	CHECK_STR(again, text);
	free(again);
	ranges_deinit(&r);
}

static void test_bad_text(void)
{
	static const char *const bad[] = {
		"", "guestdump-ranges 2\n", "guestdump-ranges 1\n0x0:0x1000\n",
		"guestdump-ranges 1\n0x0:0@0\n", "guestdump-ranges 1\n0:1@2 rom\n",
		"guestdump-ranges 1\n-1:1@2\n", "guestdump-ranges 1\nsize many\n",
		"guestdump-ranges 1\npage-size 5000\n", "guestdump-ranges 1\nbyte-order odd\n",
		"guestdump-ranges 1\n99999999999999999999:1@2\n", "guestdump-ranges 1\nwhat is this\n",
	};
	static const char good[] = "guestdump-ranges 1\n\n# a comment\nmachine z80\n4096:1@2";
	struct ranges r = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_ERR(ranges_parse(bad[i], strlen(bad[i]), &r), GDUMP_ERR_CORRUPT,
			  i < 2 ? "line 1: " : "line 2: ");
	CHECK_ERR(ranges_parse(good, strlen(good) - 9, &r), GDUMP_ERR_CORRUPT,
		  "no line says where a range of memory is");
	CHECK_OK(ranges_parse(good, strlen(good), &r));
	CHECK_INT(r.num, 1);
	CHECK_INT(r.machine, 0);
	ranges_deinit(&r);
}

/* There and back, with a large hole that takes no space. */
static void test_round_trip(void)
{
	struct gdump *g;
	struct stat st;

	save_input("a.lime", 0x180000000);
	CHECK_OK(to_raw("a.lime", "a.raw"));
	CHECK(!stat("a.raw", &st));
	CHECK_INT(st.st_size, 0x180000000 + 20 * PAGE);
	CHECK(st.st_blocks * 512 < 100 * PAGE);
	CHECK_OK(open_dump("a.raw", &g));
	CHECK_STR(gdump_info(g)->format, "raw");
	CHECK_INT(gdump_info(g)->num_ranges, 2);
	CHECK_INT(gdump_info(g)->ranges[0].size, 3 * PAGE - 0x400);
	gdump_close(g);
	CHECK_OK(convert_dump("a.raw", "b.lime", (struct gdump_write_options){ .format = "lime" },
			      NULL));
	CHECK(same_file("a.lime", "b.lime"));
}

static struct gdump_error *open_raw(const char *name, const char *format,
				    const struct gdump_extent *extents, size_t num, struct gdump **ret)
{
	*ret = NULL;
	return gdump_open(name, &(struct gdump_open_options){
		.size = sizeof(struct gdump_open_options), .format = format, .extents = extents,
		.num_extents = num }, ret);
}

static void test_places(void)
{
	static const struct gdump_extent extents[] = {
		{ 0x100000000, 2 * PAGE, 0x10000 }, { 0, PAGE, 0 },
	};
	static const struct gdump_extent far = { 0, 0x30000, 0x10000 };
	static const struct gdump_extent twice[] = { { 0, PAGE, 0 }, { PAGE / 2, PAGE, PAGE } };
	unsigned char a[PAGE], b[PAGE];
	struct gdump *g, *whole;

	save_input("s.lime", 0x10000);
	CHECK_OK(to_raw("s.lime", "s.raw"));
	CHECK_OK(open_dump("s.lime", &whole));
	CHECK(!unlink("s.raw.ranges"));
	CHECK_OK(open_raw("s.raw", NULL, extents, 2, &g));
	CHECK_INT(gdump_info(g)->num_ranges, 2);
	CHECK_OK(gdump_read(g, 0x100001000, a, PAGE));
	CHECK_OK(gdump_read(whole, 0x11000, b, PAGE));
	CHECK(!memcmp(a, b, PAGE));
	gdump_close(g);
	CHECK_ERR(open_raw("s.raw", NULL, &far, 1, &g), GDUMP_ERR_USAGE,
		  "range 0x0:0x30000@0x10000 is not in the file, which has 0x24000 bytes");
	CHECK_ERR(open_raw("s.raw", "raw", twice, 2, &g), GDUMP_ERR_USAGE,
		  "two ranges contain the same memory");
	CHECK_ERR(open_raw("s.lime", "lime", extents, 2, &g), GDUMP_ERR_USAGE, "contain their ranges");
	CHECK_ERR(open_raw("qmp:none", "raw", NULL, 0, &g), GDUMP_ERR_USAGE, "running guest");
	gdump_close(whole);
}

/* By name, without ranges: all of the file. */
static void test_named(void)
{
	struct gdump *g;

	CHECK_OK(open_raw("s.raw", "raw", NULL, 0, &g));
	CHECK_INT(gdump_info(g)->num_ranges, 1);
	CHECK_INT(gdump_info(g)->ranges[0].size, 0x24000);
	gdump_close(g);
	CHECK_ERR(open_raw("s.raw", NULL, NULL, 0, &g), GDUMP_ERR_CORRUPT, "ELF");
	CHECK_ERR(open_raw("s.raw", "kdump", NULL, 0, &g), GDUMP_ERR_FORMAT, "not of format kdump");
	CHECK_ERR(open_raw("s.raw", "none such", NULL, 0, &g), GDUMP_ERR_USAGE, "'none such'");
	CHECK_OK(open_raw("s.lime", "lime", NULL, 0, &g));
	gdump_close(g);
}

/* The text belongs to a file of one size, and is not overwritten in passing. */
static void test_stale_text(void)
{
	struct gdump_write_options opt = { .size = sizeof(opt), .format = "raw" };
	struct gdump *g;

	CHECK_OK(to_raw("s.lime", "t.raw"));
	CHECK(!truncate("t.raw", 0x28000));
	CHECK_ERR(open_dump("t.raw", &g), GDUMP_ERR_CORRUPT, "for one of 0x24000");
	/* a copy that was cut short */
	CHECK(!truncate("t.raw", 0x20000));
	CHECK_OK(open_dump("t.raw", &g));
	CHECK(gdump_info(g)->incomplete);
	CHECK_INT(gdump_info(g)->num_excluded, 4);
	gdump_close(g);
	CHECK(!unlink("t.raw"));
	CHECK_ERR(gdump_write_check("t.raw", &opt), GDUMP_ERR_OS, "t.raw.ranges: this file already exists");
	CHECK_OK(open_dump("s.lime", &g));
	CHECK_ERR(gdump_write(g, NULL, "t.raw", &opt), GDUMP_ERR_OS, "t.raw.ranges: this file already exists");
	opt.force = true;
	CHECK_OK(gdump_write(g, NULL, "t.raw", &opt));
	gdump_close(g);
	CHECK(access("t.raw.incomplete", F_OK) && access("t.raw.ranges.incomplete", F_OK));
}

int main(void)
{
	dumpfile_dir();
	test_text();
	test_bad_text();
	test_round_trip();
	test_places();
	test_named();
	test_stale_text();
	dumpfile_done();
	return check_done();
}
