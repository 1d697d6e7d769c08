/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "dumpfile.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "random.h"

enum { PAGE = 4096, HEADER = 32 };

static void put_header(struct blob *b, uint64_t first, uint64_t last)
{
	blob_put(b, "EMiL", 4);
	blob_put_le(b, 1, 4);
	blob_put_le(b, first, 8);
	blob_put_le(b, last, 8);
	blob_put_le(b, 0, 8);
}

/* Three ranges: odd ends, a zero page inside, one above 4 GiB. */
static const struct gdump_range ranges[] = {
	{ .start = 0x1000, .size = 0x2400 },
	{ .start = 0x100000, .size = 300 * PAGE },
	{ .start = 0x180000000, .size = 2 * PAGE },
};

static void put_memory(struct blob *b, const struct gdump_range *r)
{
	const size_t off = b->len;
	uint64_t seed = r->start;

	blob_put(b, NULL, r->size);
	random_bytes(&seed, b->p + off, r->size);
	if (r->size > 20 * PAGE)
		memset(b->p + off + 3 * PAGE, 0, 5 * PAGE);
}

static struct blob make_lime(void)
{
	struct blob b = { 0 };

	for (size_t i = 0; i < 3; i++) {
		put_header(&b, ranges[i].start, ranges[i].start + ranges[i].size - 1);
		put_memory(&b, &ranges[i]);
	}
	return b;
}

static void test_read(void)
{
	struct blob b = make_lime();
	unsigned char *buf = malloc(300 * PAGE);
	const struct gdump_info *info;
	struct gdump *g;
	size_t off = HEADER;

	blob_save(&b, "a.lime");
	CHECK_OK(open_dump("a.lime", &g));
	info = gdump_info(g);
	CHECK_STR(info->format, "lime");
	CHECK_STR(info->detail, "LiME, version 1");
	CHECK_INT(info->num_ranges, 3);
	CHECK_INT(info->num_excluded, 0);
	CHECK(!info->incomplete);
	for (size_t i = 0; i < 3; i++) {
		CHECK_INT(info->ranges[i].start, ranges[i].start);
		CHECK_INT(info->ranges[i].size, ranges[i].size);
		CHECK_OK(gdump_read(g, ranges[i].start, buf, ranges[i].size));
		CHECK(!memcmp(buf, b.p + off, ranges[i].size));
		off += ranges[i].size + HEADER;
	}
	CHECK_ERR(gdump_read(g, 0x50000, buf, 1), GDUMP_ERR_NODATA, "0x50000");
	gdump_close(g);
	free(buf);
	blob_free(&b);
}

/* What we write is what we read, by way of every format and number of threads. */
static void test_write(void)
{
	struct gdump_result result;

	CHECK_OK(convert_dump("a.lime", "b.lime",
			      (struct gdump_write_options){ .format = "lime", .threads = 1 }, &result));
	CHECK(same_file("a.lime", "b.lime"));
	CHECK_INT(result.zero_filled, 0);
	CHECK_INT(result.pages, 3 + 300 + 2);
	CHECK_INT(result.zero, 5);
	CHECK_OK(convert_dump("a.lime", "c.lime",
			      (struct gdump_write_options){ .format = "lime", .threads = 8 }, NULL));
	CHECK(same_file("a.lime", "c.lime"));
	CHECK_OK(convert_dump("a.lime", "a.elf", (struct gdump_write_options){ .format = "elf" },
			      NULL));
	CHECK_OK(convert_dump("a.elf", "d.lime", (struct gdump_write_options){ .format = "lime" },
			      NULL));
	CHECK(same_file("a.lime", "d.lime"));
}

static void *drain(void *arg)
{
	struct blob *b = arg;

	*b = blob_load("fifo");
	return NULL;
}

static void test_pipe(void)
{
	struct blob want = blob_load("a.lime"), got = { 0 };
	pthread_t thread;
	int end;

	CHECK(!mkfifo("fifo", 0600));
	CHECK(!pthread_create(&thread, NULL, drain, &got));
	end = open("fifo", O_WRONLY);   /* nobody waits for ever if this fails */
	CHECK_OK(convert_dump("a.lime", "fifo",
			      (struct gdump_write_options){ .format = "lime", .threads = 4 }, NULL));
	close(end);
	pthread_join(thread, NULL);
	CHECK(got.len == want.len && !memcmp(got.p, want.p, want.len));
	blob_free(&want);
	blob_free(&got);
}

/* What is not in the input is zero, counted, and the dump says it is cut short. */
static void test_cut_short(void)
{
	struct blob b = { 0 };
	struct gdump_result result;
	struct gdump *g;

	put_header(&b, 0, 8 * PAGE - 1);
	put_memory(&b, &(struct gdump_range){ .size = 6 * PAGE });
	blob_save(&b, "cut.lime");
	CHECK_OK(open_dump("cut.lime", &g));
	CHECK(gdump_info(g)->incomplete);
	CHECK_INT(gdump_info(g)->num_excluded, 2);
	gdump_close(g);

	CHECK_OK(convert_dump("cut.lime", "filled.lime",
			      (struct gdump_write_options){ .format = "lime" }, &result));
	CHECK_INT(result.pages, 6);
	CHECK_INT(result.zero_filled, 2);
	blob_put(&b, NULL, 2 * PAGE);
	memcpy(b.p + 24, "cutshort", 8);
	blob_save(&b, "want.lime");
	CHECK(same_file("filled.lime", "want.lime"));
	CHECK_OK(open_dump("filled.lime", &g));
	CHECK(gdump_info(g)->incomplete);
	gdump_close(g);
	blob_free(&b);
}

static void test_hostile(void)
{
	struct blob b = { 0 };

	put_header(&b, 0, PAGE - 1);
	blob_put(&b, NULL, PAGE);
	CHECK_OK(try_blob(&b));
	blob_put(&b, "junk", 4);
	CHECK_OK(try_blob(&b));         /* cut short */
	blob_put(&b, NULL, HEADER);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "record at offset 0x1020: magic 0x6b6e756a");
	b.len = PAGE + HEADER;
	put_header(&b, 0x2000, 0x1fff);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "invalid range 0x2000-0x1fff");
	blob_set_le(&b, b.len - 24, 0, 8);
	blob_set_le(&b, b.len - 16, UINT64_MAX, 8);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "invalid range 0x0-0xffffffffffffffff");
	blob_set_le(&b, b.len - 28, 3, 4);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_UNSUPPORTED, "version 3 is not supported, only 1");
	blob_set_le(&b, 0, 0x9c78, 2);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_UNSUPPORTED, "all of the file is compressed with zlib");
	blob_free(&b);
}

/* Bytes that begin as a record does may be one, after a block of zeros without bytes, or memory. */
static void test_two_readings(void)
{
	struct blob b = { 0 };
	struct gdump *g;

	put_header(&b, 0, 2 * PAGE - 1);
	put_header(&b, 0x100000, 0x100000 + PAGE - 1);
	blob_put(&b, NULL, PAGE);
	blob_save(&b, "zero.lime");
	CHECK_OK(open_dump("zero.lime", &g));
	CHECK(!gdump_info(g)->incomplete);
	CHECK_INT(gdump_info(g)->num_ranges, 2);
	gdump_close(g);

	blob_put(&b, NULL, PAGE - HEADER);
	blob_save(&b, "two.lime");
	CHECK_OK(open_dump("two.lime", &g));
	CHECK(gdump_info(g)->incomplete);
	CHECK_INT(gdump_info(g)->num_ranges, 1);
	gdump_close(g);
	blob_free(&b);
}

/* Which of two records for the same memory is right nobody knows. */
static void test_overlap(void)
{
	struct blob b = { 0 };

	put_header(&b, PAGE, 3 * PAGE - 1);
	blob_put(&b, NULL, 2 * PAGE);
	put_header(&b, 0, 4 * PAGE - 1);
	blob_put(&b, NULL, 4 * PAGE);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "two records contain the same memory");
	blob_free(&b);
}

int main(void)
{
	dumpfile_dir();
	test_read();
	test_write();
	test_pipe();
	test_cut_short();
	test_hostile();
	test_two_readings();
	test_overlap();
	dumpfile_done();
	return check_done();
}
