/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include <elf.h>

#include "codec/codec.h"
#include "format/kdump.h"
#include "mkkdump.h"

/* Whether [paddr, paddr + len) reads as made, or with @gap as zero. */
static void check_bytes(struct source *s, const struct mkkdump *m, uint64_t paddr, size_t len)
{
	unsigned char *buf = malloc(len);

	CHECK_OK(source_read(s, paddr, buf, len));
	for (size_t i = 0; i < len; i++) {
		const uint32_t block = (uint32_t)((paddr + i) / m->block_size);

		if (buf[i] != (mk_absent(m, block) ? 0 : (block + 1) & 0xff)) {
			CHECK_INT(buf[i], block + 1);
			fprintf(stderr, "  at 0x%llx\n", (unsigned long long)(paddr + i));
			break;
		}
	}
	free(buf);
}

static void check_states(struct source *s, uint64_t num, const char *wanted)
{
	for (int holes = 0; holes < 2; holes++) {
		for (uint64_t from = 0; from < num; from++) {
			unsigned char state[64];
			char text[65] = "";

			CHECK_OK(source_scan(s, from, num - from, state, holes));
			for (uint64_t i = from; i < num; i++)
				text[i - from] = state[i - from] == PAGE_ABSENT ? 'x' : '.';
			CHECK_STR(text, wanted + from);
		}
	}
}

/* QEMU's blocks of 64 KiB for a kernel with pages of 4 KiB */
static void test_large_blocks(void)
{
	struct mkkdump m = { .block_size = 16384, .num_pages = 4, .absent = ".x",
			     .vmcoreinfo = "PAGESIZE=4096\n", .machine = "aarch64" };
	struct source *s;
	char c;

	CHECK_OK(mkkdump_open(&m, &s));
	CHECK_INT(s->image.page_size, 4096);
	CHECK_INT(s->image.num_absent, 4);
	check_states(s, 16, "....xxxx........");
	check_bytes(s, &m, 0, 16384);
	check_bytes(s, &m, 4096, 4096);
	check_bytes(s, &m, 12287, 4097);
	check_bytes(s, &m, 32768 + 100, 32768 - 200);
	CHECK_ERR(source_read(s, 16384, &c, 1), GDUMP_ERR_NODATA, "omitted");
	source_close(s);
	mkkdump_free(&m);
}

/* QEMU's blocks of 4 KiB for a powernv kernel with pages of 64 KiB */
static void test_small_blocks(void)
{
	struct mkkdump m = { .num_pages = 15, .absent = "....x...xxxx", .machine = "ppc64le",
			     .vmcoreinfo = "PAGESIZE=16384\n" };
	struct source *s;
	char c;

	CHECK_OK(mkkdump_open(&m, &s));
	CHECK_INT(s->image.page_size, 16384);
	check_states(s, 4, "..x.");
	check_bytes(s, &m, 0, 16384);
	check_bytes(s, &m, 16384, 16384);       /* a block of it is missing */
	check_bytes(s, &m, 16384, 10);
	check_bytes(s, &m, 48 << 10, 12288);    /* the last page is cut short */
	CHECK_ERR(source_read(s, 32768, &c, 1), GDUMP_ERR_NODATA, "omitted");
	source_close(s);
	mkkdump_free(&m);
}

/* Which page size: VMCOREINFO's, the architecture's only one, the block size */
static void test_page_size(void)
{
	static const struct {
		const char *machine, *vmcoreinfo;
		uint32_t block_size, wanted;
	} cases[] = {
		{ "aarch64", NULL, 65536, 65536 }, { "aarch64", "PAGESIZE=16384\n", 65536, 16384 },
		{ "x86_64", NULL, 65536, 4096 }, { "s390x", NULL, 16384, 4096 },
		{ "ppc64", NULL, 4096, 4096 }, { "loongarch64", NULL, 4096, 4096 },
		{ "loongarch64", "PAGESIZE=16384\n", 4096, 16384 }, { "strange", NULL, 8192, 8192 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mkkdump m = { .num_pages = 2, .machine = cases[i].machine,
				     .vmcoreinfo = cases[i].vmcoreinfo,
				     .block_size = cases[i].block_size };
		struct source *s;

		CHECK_OK(mkkdump_open(&m, &s));
		CHECK_INT(s->image.page_size, cases[i].wanted);
		source_close(s);
		mkkdump_free(&m);
	}
}

/* Every header version, word size, byte order and layout */
static void test_layouts(void)
{
	static const char info[] = "OSRELEASE=6.1\n", erase[] = "erase x size 4\n";

	for (uint32_t i = 0; i < 6 * 8; i++) {
		struct mkkdump m = { .num_pages = 3, .absent = ".x", .version = i / 8 + 1,
				     .big = i & 1, .is32 = i & 2, .padded = (i & 6) == 6,
				     .vmcoreinfo = i / 8 >= 2 ? info : NULL, .tv_sec = 1234,
				     .eraseinfo = i / 8 >= 4 ? erase : NULL,
				     .machine = i & 2 ? "i686" : "s390x" };
		struct source *s;
		bool good = true;

		CHECK_OK(mkkdump_open(&m, &s));
		good &= CHECK_INT(s->image.big, m.big);
		good &= CHECK_INT(s->image.time, 1234);
		good &= CHECK_INT(s->image.vmcoreinfo_size, m.vmcoreinfo ? strlen(info) : 0);
		good &= CHECK_INT(image_note(&s->image, "ERASEINFO") != NULL, m.eraseinfo != NULL);
		good &= CHECK_INT(s->image.phys_base, 0x123000);
		if (!good)
			fprintf(stderr, "  in case %u\n", i);
		check_bytes(s, &m, 8192, 4096);
		check_states(s, 3, ".x.");
		source_close(s);
		mkkdump_free(&m);
	}
}

static void test_diskdump(void)
{
	struct mkkdump m = { .signature = "DISKDUMP", .num_pages = 4, .absent = "x",
			     .one_bitmap = true };
	struct source *s;

	CHECK_OK(mkkdump_open(&m, &s));
	CHECK(strstr(s->image.detail, "diskdump, version 0"));
	CHECK_INT(s->image.num_ranges, 1);
	CHECK_INT(s->image.ranges[0].start, 4096);      /* what is absent is no RAM here */
	CHECK_INT(s->image.num_notes, 0);
	check_bytes(s, &m, 4096, 12288);
	source_close(s);
	mkkdump_free(&m);
}

/* Marks of the input that a copy must have too */
static void test_marks(void)
{
	struct mkkdump m = { .num_pages = 1, .status = 0x08 | 0x10 };
	struct source *s;

	CHECK_OK(mkkdump_open(&m, &s));
	CHECK(s->image.incomplete && s->image.no_vmemmap);
	source_close(s);
	mkkdump_free(&m);
}

/* Three parts of a dump of 30 pages, of which page 3 is absent */
static void make_parts(struct mkkdump *m, struct bytes **in)
{
	static const uint32_t ends[] = { 0, 2, 20, 30 };

	for (int i = 0; i < 3; i++) {
		m[i] = (struct mkkdump){ .num_pages = 30, .absent = "...x", .split = 1,
					 .start = ends[i], .end = ends[i + 1] };
		mkkdump(&m[i]);
		CHECK_OK(bytes_memory_open(m[i].buf, m[i].len, &in[i]));
	}
}

static const char *const names[] = { "one", "two", "three", "four" };

static void test_parts(void)
{
	static const int orders[][3] = { { 0, 1, 2 }, { 2, 0, 1 }, { 1, 2, 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		struct mkkdump m[3];
		struct bytes *in[3], *order[3];
		struct source *s;

		make_parts(m, in);
		for (int k = 0; k < 3; k++)
			order[k] = in[orders[i][k]];
		CHECK_OK(format_kdump.open_parts(order, names, 3, &s));
		check_bytes(s, m, 0, 3 * 4096);
		check_bytes(s, m, 4 * 4096, 26 * 4096);
		check_bytes(s, m, 19 * 4096 + 1, 4097);
		check_states(s, 30, "...x..........................");
		CHECK_INT(s->image.num_absent, 1);
		source_close(s);
		for (int k = 0; k < 3; k++)
			mkkdump_free(&m[k]);
	}
}

/* What is wrong with them, and what is said */
static void test_wrong_parts(void)
{
	static const struct {
		int order[4], num;
		int code;
		const char *message;
	} cases[] = {
		{ { 0 }, 1, GDUMP_ERR_PART, "the part with pages 0x2-0x1d was not given" },
		{ { 2, 0 }, 2, GDUMP_ERR_PART, "with pages 0x2-0x13" },
		{ { 1, 2 }, 2, GDUMP_ERR_PART, "with pages 0x0-0x1" },
		{ { 0, 1, 1, 2 }, 4, GDUMP_ERR_USAGE, "both have page 0x2" },
		{ { 0, 3, 1 }, 3, GDUMP_ERR_USAGE, "two is a complete dump" },
		{ { 0, 4 }, 2, GDUMP_ERR_USAGE, "one and two are parts of different dumps: their bitmaps" },
		{ { 0, 5 }, 2, GDUMP_ERR_USAGE, "parts of different dumps: their headers" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mkkdump m[6];
		struct bytes *in[6], *order[4];
		struct source *s = NULL;

		make_parts(m, in);
		m[3] = (struct mkkdump){ .num_pages = 30 };
		m[4] = (struct mkkdump){ .num_pages = 30, .split = 1, .start = 2, .end = 20 };
		m[5] = (struct mkkdump){ .num_pages = 30, .absent = "...x", .split = 1, .start = 2,
					 .end = 20, .tv_sec = 7 };
		for (int k = 3; k < 6; k++)
			mkkdump(&m[k]);
		for (int k = 0; k < cases[i].num; k++) {
			const struct mkkdump *x = &m[cases[i].order[k]];

			CHECK_OK(bytes_memory_open(x->buf, x->len, &order[k]));
		}
		CHECK_ERR(format_kdump.open_parts(order, names, (size_t)cases[i].num, &s),
			  cases[i].code, cases[i].message);
		for (int k = 0; k < 3; k++)
			bytes_close(in[k]);
		for (int k = 0; k < 6; k++)
			mkkdump_free(&m[k]);
	}
}

static void check_desc_flags(uint32_t flags, enum gdump_code code, const char *part)
{
	struct mkkdump m = { .num_pages = 1, .desc_flags = flags };
	unsigned char page[4096];
	struct source *s;

	CHECK_OK(mkkdump_open(&m, &s));
	CHECK_ERR(source_read(s, 0, page, sizeof(page)), code, part);
	source_close(s);
	mkkdump_free(&m);
}

/* A row in CODECS is all that the reader needs to know a codec. */
static void test_codec_flags(void)
{
	const struct codec *c;
	uint32_t used = KDUMP_INCOMPLETE | KDUMP_NO_VMEMMAP;

	for (size_t i = 0; (c = codec_at(i)); i++) {
		CHECK(!(c->kdump_flag & used));
		used |= c->kdump_flag;
		if (c->kdump_flag)
			check_desc_flags(c->kdump_flag,
					 c->decompress ? GDUMP_ERR_CORRUPT : GDUMP_ERR_UNSUPPORTED,
					 c->name);
	}
	CHECK_INT(codec_kdump_flags(), used & ~(uint32_t)(KDUMP_INCOMPLETE | KDUMP_NO_VMEMMAP));
	check_desc_flags(~used & (used + 1), GDUMP_ERR_CORRUPT, "unknown flags");
}

int main(void)
{
	test_codec_flags();
	test_large_blocks();
	test_small_blocks();
	test_page_size();
	test_layouts();
	test_diskdump();
	test_marks();
	test_parts();
	test_wrong_parts();
	return check_done();
}
