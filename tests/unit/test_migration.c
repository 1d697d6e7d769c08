/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/* Migration streams and what wraps them, made by hand: also mapped-ram, for which there
 * is no QEMU here.
 */
#include "dumpfile.h"

#include <libdeflate.h>

#include "format/format.h"
#include "migration/domain.h"
#include "migration/placement.h"
#include "migration/page_index.h"
#include "random.h"
#include "stream_feed.h"
#include "machine/source.h"

enum { PAGE = 4096, MiB = 1 << 20 };
#define GiB ((uint64_t)1 << 30)

/* Making streams ---------------------------------------------------------- */

static void store_be(unsigned char *p, uint64_t v, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		p[i] = (unsigned char)(v >> 8 * (n - 1 - i));
}

static void be(struct blob *b, uint64_t v, unsigned int n)
{
	unsigned char bytes[8];

	store_be(bytes, v, n);
	blob_put(b, bytes, n);
}

static void name(struct blob *b, const char *s)
{
	be(b, strlen(s), 1);
	blob_put(b, s, strlen(s));
}

static void begin(struct blob *b, const char *machine)
{
	be(b, 0x5145564d, 4);
	be(b, 3, 4);
	if (machine) {
		be(b, 7, 1);
		be(b, strlen(machine), 4);
		blob_put(b, machine, strlen(machine));
	}
}

static void capability(struct blob *b, const char *s)
{
	be(b, 5, 1);
	name(b, "configuration/capabilities");
	be(b, 1, 4);
	be(b, 1, 4);
	name(b, s);
}

static void start(struct blob *b, unsigned int type, uint32_t id, const char *s, uint32_t instance)
{
	be(b, type, 1);
	be(b, id, 4);
	name(b, s);
	be(b, instance, 4);
	be(b, 4, 4);
}

static void footer(struct blob *b, uint32_t id)
{
	be(b, 0x7e, 1);
	be(b, id, 4);
}

struct block {
	const char *name;
	uint64_t size;
};

/* The RAM's START; ends with the first block without a name. */
static void ram_start(struct blob *b, const struct block *blocks)
{
	uint64_t total = 0;

	for (size_t i = 0; blocks[i].name; i++)
		total += blocks[i].size;
	start(b, 1, 2, "ram", 0);
	be(b, total | 4, 8);
	for (size_t i = 0; blocks[i].name; i++) {
		name(b, blocks[i].name);
		be(b, blocks[i].size, 8);
	}
	be(b, 0x10, 8);
	footer(b, 2);
}

static void ram_end(struct blob *b)
{
	be(b, 0x10, 8);
	footer(b, 2);
}

static void part(struct blob *b, unsigned int type)
{
	be(b, type, 1);
	be(b, 2, 4);
}

/* The word of a page, and the block's name unless NULL. */
static void item(struct blob *b, uint64_t off, unsigned int flags, const char *block)
{
	be(b, off | flags | (block ? 0 : 0x20), 8);
	if (block)
		name(b, block);
}

static void page_of(unsigned char *page, unsigned int seed)
{
	uint64_t state = seed;

	random_bytes(&state, page, PAGE);
}

static void raw(struct blob *b, uint64_t off, const char *block, unsigned int seed)
{
	unsigned char page[PAGE];

	item(b, off, 0x08, block);
	page_of(page, seed);
	blob_put(b, page, PAGE);
}

static void zero(struct blob *b, uint64_t off, const char *block)
{
	item(b, off, 0x02, block);
	be(b, 0, 1);
}

/* All pages from @from on, as zeros */
static void zeros(struct blob *b, uint64_t from, uint64_t end, const char *block)
{
	zero(b, from, block);
	for (uint64_t off = from + PAGE; off < end; off += PAGE)
		zero(b, off, NULL);
}

static void zlib_page(struct blob *b, uint64_t off, const char *text)
{
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
	unsigned char page[PAGE] = { 0 }, compressed[PAGE];
	size_t len;

	memcpy(page, text, strlen(text));
	len = libdeflate_zlib_compress(c, page, PAGE, compressed, PAGE);
	item(b, off, 0x100, NULL);
	be(b, len, 4);
	blob_put(b, compressed, len);
	libdeflate_free_compressor(c);
}

/* Put @len bytes at 300 of the page before. */
static void xbzrle(struct blob *b, uint64_t off, const char *text)
{
	const size_t len = strlen(text);

	item(b, off, 0x40, NULL);
	be(b, 1, 1);
	be(b, 3 + len, 2);
	be(b, 0xac, 1);         /* 300 in ULEB128 */
	be(b, 0x02, 1);
	be(b, len, 1);
	blob_put(b, text, len);
}

static void describe(struct blob *b, const char *json)
{
	be(b, 0, 1);
	be(b, 6, 1);
	be(b, strlen(json), 4);
	blob_put(b, json, strlen(json));
}

/* Two vCPUs' worth of fields, and a device without description between them. */
static const char cpu_json[] =
	"{\"page_size\":4096,\"devices\":["
	"{\"name\":\"cpu\",\"instance_id\":0,\"fields\":["
	"{\"name\":\"env.regs\",\"array_len\":16,\"type\":\"uint64\",\"size\":8},"
	"{\"name\":\"tmp\",\"type\":\"tmp\",\"fields\":[{\"name\":\"x\",\"size\":2}],\"size\":2},"
	"{\"name\":\"env.eip\",\"size\":8},{\"name\":\"env.hflags\",\"size\":4},"
	"{\"name\":\"env.segs\",\"array_len\":6,\"size\":20,\"struct\":{\"fields\":["
	"{\"name\":\"selector\",\"size\":4},{\"name\":\"base\",\"size\":8},"
	"{\"name\":\"limit\",\"size\":4},{\"name\":\"flags\",\"size\":4}]}},"
	"{\"name\":\"env.cr[3]\",\"size\":8}],"
	"\"subsections\":[{\"vmsd_name\":\"cpu/sub\",\"fields\":[{\"name\":\"y\",\"size\":3}]}]},"
	"{\"name\":\"mc146818rtc\",\"instance_id\":0,\"fields\":["
	"{\"name\":\"cmos_data\",\"type\":\"buffer\",\"size\":128}]}]}";

static void put_cpu(struct blob *b, uint32_t hflags)
{
	start(b, 4, 7, "cpu", 0);
	for (unsigned int i = 0; i < 16; i++)
		be(b, 0x1000 + i, 8);
	be(b, 0, 2);
	be(b, 0xffffffff81000000, 8);
	be(b, hflags, 4);
	for (unsigned int i = 0; i < 6; i++) {
		be(b, 0x10 + i, 4);
		be(b, 0x20000 + i, 8);
		be(b, 0xffff, 4);
		be(b, 0xa09b00, 4);
	}
	be(b, 0x77000, 8);
	be(b, 5, 1);
	name(b, "cpu/sub");
	be(b, 1, 4);
	be(b, 0, 3);
	footer(b, 7);
}

static void put_clock(struct blob *b, uint64_t below, uint64_t above)
{
	unsigned char cmos[128] = { 0 };
	const uint64_t low = below < 16 * MiB ? below - MiB : 0;
	const uint64_t high = below < 16 * MiB ? 0 : below - 16 * MiB;

	cmos[0x15] = (unsigned char)640;
	cmos[0x16] = 640 >> 8;
	cmos[0x30] = (unsigned char)(low >> 10);
	cmos[0x31] = (unsigned char)(low >> 18);
	cmos[0x34] = (unsigned char)(high >> 16);
	cmos[0x35] = (unsigned char)(high >> 24);
	cmos[0x5b] = (unsigned char)(above >> 16);
	cmos[0x5c] = (unsigned char)(above >> 24);
	cmos[0x5d] = (unsigned char)(above >> 32);
	start(b, 4, 9, "mc146818rtc", 0);
	blob_put(b, cmos, sizeof(cmos));
	footer(b, 9);
}

/* All kinds of pages, some more than once. */
static struct blob make_stream(void)
{
	static const struct block blocks[] = {
		{ "pc.ram", MiB }, { "0000:00:02.0/vga.vram", 2 * PAGE }, { 0 },
	};
	struct blob b = { 0 };

	begin(&b, "pc-i440fx-7.2");
	start(&b, 4, 1, "early", 0);            /* no description: footer only */
	be(&b, 0x7e000000, 4);
	footer(&b, 1);
	ram_start(&b, blocks);
	part(&b, 2);
	raw(&b, 0, "pc.ram", 1);
	raw(&b, PAGE, NULL, 2);
	raw(&b, 2 * PAGE, NULL, 3);
	zero(&b, 3 * PAGE, NULL);
	raw(&b, 0, "0000:00:02.0/vga.vram", 9);
	raw(&b, 4 * PAGE, "pc.ram", 4);
	zeros(&b, 5 * PAGE, MiB, NULL);
	ram_end(&b);
	be(&b, 2, 1);                           /* a PART of something else */
	be(&b, 5, 4);
	be(&b, 0x7e7e0000, 4);
	footer(&b, 5);
	part(&b, 3);
	raw(&b, PAGE, "pc.ram", 5);             /* again */
	raw(&b, 3 * PAGE, NULL, 6);
	zero(&b, 2 * PAGE, NULL);
	zlib_page(&b, 5 * PAGE, "compressed by zlib");
	xbzrle(&b, 4 * PAGE, "first");
	xbzrle(&b, 4 * PAGE, "next");
	xbzrle(&b, 6 * PAGE, "of zeros");
	ram_end(&b);
	put_cpu(&b, 1 << 14);
	start(&b, 4, 8, "unknown", 0);
	be(&b, 0x0102030405060708, 8);
	footer(&b, 8);
	put_clock(&b, MiB, 0);
	describe(&b, cpu_json);
	return b;
}

/* Reading ----------------------------------------------------------------- */

static struct gdump_error *open_blob(const struct blob *b, struct gdump **ret)
{
	blob_save(b, "try");
	return open_dump("try", ret);
}

static bool has_page(struct gdump *g, uint64_t paddr, const unsigned char *want)
{
	unsigned char page[PAGE];

	CHECK_OK(gdump_read(g, paddr, page, PAGE));
	return !memcmp(page, want, PAGE);
}

static bool has_seed(struct gdump *g, uint64_t paddr, unsigned int seed)
{
	unsigned char page[PAGE];

	page_of(page, seed);
	return has_page(g, paddr, page);
}

static void test_pages(void)
{
	struct blob b = make_stream();
	unsigned char page[PAGE] = { 0 }, all[8 * PAGE];
	struct gdump *g;

	CHECK_OK(open_blob(&b, &g));
	CHECK_STR(gdump_info(g)->format, "savevm");
	CHECK_STR(gdump_info(g)->arch, "x86_64");
	CHECK_INT(gdump_info(g)->num_ranges, 1);
	CHECK_INT(gdump_info(g)->ranges[0].size, MiB);
	CHECK(!gdump_info(g)->incomplete);
	CHECK(has_page(g, 100 * PAGE, page));
	CHECK(has_page(g, 2 * PAGE, page));
	CHECK(has_seed(g, 0, 1));
	CHECK(has_seed(g, PAGE, 5));
	CHECK(has_seed(g, 3 * PAGE, 6));
	memcpy(page, "compressed by zlib", 18);
	CHECK(has_page(g, 5 * PAGE, page));
	page_of(page, 4);
	memcpy(page + 300, "nextt", 5);
	CHECK(has_page(g, 4 * PAGE, page));
	memset(page, 0, PAGE);
	memcpy(page + 300, "of zeros", 8);
	CHECK(has_page(g, 6 * PAGE, page));
	/* any pieces are those of the whole */
	CHECK_OK(gdump_read(g, 0, all, sizeof(all)));
	for (size_t len = 1; len < 3 * PAGE; len = len * 3 + 1) {
		unsigned char piece[3 * PAGE];

		for (uint64_t at = 0; at + len <= sizeof(all); at += len) {
			CHECK_OK(gdump_read(g, at, piece, len));
			CHECK(!memcmp(piece, all + at, len));
		}
	}
	gdump_close(g);
	blob_free(&b);
}

/* Neighbours in the file are read as one piece. */
static void test_runs(void)
{
	static const struct block blocks[] = { { "pc.ram", 4 * MiB }, { 0 } };
	enum { NUM = 600 };
	unsigned char *all = malloc(NUM * PAGE), page[PAGE];
	struct blob b = { 0 };
	struct gdump *g;
	size_t at;

	begin(&b, "pc-q35-7.2");
	ram_start(&b, blocks);
	part(&b, 3);
	raw(&b, 0, "pc.ram", 0);
	at = b.len;
	blob_put(&b, NULL, (NUM - 1) * (8 + PAGE));
	for (unsigned int i = 1; i < NUM; i++, at += 8 + PAGE) {
		store_be(b.p + at, (uint64_t)i * PAGE | 0x28, 8);
		page_of(b.p + at + 8, i);
	}
	ram_end(&b);
	CHECK_OK(open_blob(&b, &g));
	for (unsigned int n = 1; n <= NUM; n = n * 2 + 3) {
		CHECK_OK(gdump_read(g, PAGE, all, n * PAGE));
		for (unsigned int i = 0; i < n; i++) {
			page_of(page, i + 1);
			CHECK(!memcmp(page, all + i * PAGE, PAGE));
		}
	}
	gdump_close(g);
	blob_free(&b);
	free(all);
}

static uint64_t register_of(struct gdump *g, const char *want)
{
	const struct gdump_info *info = gdump_info(g);

	for (size_t i = 0; i < info->num_notes; i++) {
		const unsigned char *p = info->notes[i].desc;

		if (!strcmp(want, "cr3") && !strcmp(info->notes[i].name, "QEMU"))
			return load_le(p + 416, 8);
		if (!strcmp(want, "rip") && !strcmp(info->notes[i].name, "CORE"))
			return load_le(p + 240, 8);
		if (!strcmp(want, "gs_base") && !strcmp(info->notes[i].name, "CORE"))
			return load_le(p + 288, 8);
	}
	return 0;
}

static void test_registers(void)
{
	static const struct block blocks[] = { { "pc.ram", MiB }, { 0 } };
	struct blob b = make_stream();
	struct gdump *g;

	CHECK_OK(open_blob(&b, &g));
	CHECK_INT(gdump_info(g)->num_cpus, 1);
	CHECK_INT(gdump_info(g)->num_notes, 2);
	CHECK_INT(register_of(g, "rip"), 0xffffffff81000000);
	CHECK_INT(register_of(g, "gs_base"), 0x20005);
	CHECK_INT(register_of(g, "cr3"), 0x77000);
	gdump_close(g);
	blob_free(&b);

	/* not yet in long mode */
	begin(&b, "pc");
	ram_start(&b, blocks);
	part(&b, 3);
	ram_end(&b);
	put_cpu(&b, 0);
	describe(&b, cpu_json);
	CHECK_OK(open_blob(&b, &g));
	CHECK_STR(gdump_info(g)->arch, "i686");
	CHECK_INT(gdump_info(g)->notes[0].size, 144);
	gdump_close(g);
	blob_free(&b);
}

/* A background snapshot has no END: the devices end the RAM. */
static void test_snapshot(void)
{
	static const struct block blocks[] = { { "pc.ram", MiB }, { 0 } };
	struct blob b = { 0 };
	struct gdump *g;

	begin(&b, "pc");
	ram_start(&b, blocks);
	part(&b, 2);
	raw(&b, 0, "pc.ram", 1);
	zeros(&b, PAGE, MiB, NULL);
	ram_end(&b);
	put_cpu(&b, 1 << 14);
	put_clock(&b, MiB, 0);
	describe(&b, cpu_json);
	CHECK_OK(open_blob(&b, &g));
	CHECK(!gdump_info(g)->incomplete);
	CHECK_INT(gdump_info(g)->num_cpus, 1);
	CHECK(has_seed(g, 0, 1));
	gdump_close(g);
	blob_free(&b);
}

/* Complete or not ----------------------------------------------------------- */

static char last_warning[512];

static void keep_warning(void *arg, const char *message)
{
	(void)arg;
	snprintf(last_warning, sizeof(last_warning), "%s", message);
}

/* Open the stream: whether it is incomplete, and warns of @what. */
static bool is_incomplete(const struct blob *b, const char *what)
{
	const struct gdump_open_options opt = { .size = sizeof(opt), .warn = keep_warning };
	struct gdump *g = NULL;
	bool incomplete;

	last_warning[0] = '\0';
	blob_save(b, "try");
	if (!CHECK_OK(gdump_open("try", &opt, &g)))
		return false;
	incomplete = gdump_info(g)->incomplete;
	gdump_close(g);
	if (!CHECK(strstr(last_warning, what)))
		fprintf(stderr, "'%s'\n", last_warning);
	return incomplete;
}

/* A PC whose memory continues at 4 GiB after 512 KiB: the clock says so. */
static struct blob make_split(bool description)
{
	static const struct block blocks[] = { { "pc.ram", MiB }, { 0 } };
	struct blob b = { 0 };
	size_t at;

	begin(&b, "pc-q35-7.2");
	ram_start(&b, blocks);
	part(&b, 3);
	raw(&b, 0, "pc.ram", 1);
	zeros(&b, PAGE, MiB / 2, NULL);
	raw(&b, MiB / 2, NULL, 2);
	zeros(&b, MiB / 2 + PAGE, MiB, NULL);
	ram_end(&b);
	put_cpu(&b, 1 << 14);
	put_clock(&b, MiB, MiB / 2);
	at = b.len - 5 - 128;           /* footer and CMOS */
	b.p[at + 0x15] = 0;
	b.p[at + 0x16] = 2;             /* 512 KiB of base memory */
	if (description)
		describe(&b, cpu_json);
	else
		be(&b, 0, 1);
	return b;
}

static void check_split(const struct blob *b)
{
	struct gdump *g;

	CHECK_OK(open_blob(b, &g));
	CHECK_INT(gdump_info(g)->num_ranges, 2);
	CHECK(has_seed(g, 4 * GiB, 2));
	gdump_close(g);
}

/* The end of the stream is proved, and what the memory needs is found without it. */
static void test_description(void)
{
	struct blob b = make_split(true);
	size_t len = b.len;

	CHECK(!is_incomplete(&b, ""));
	check_split(&b);
	/* a volume that is larger than the stream */
	blob_put(&b, NULL, 5 * MiB);
	CHECK(!is_incomplete(&b, ""));
	check_split(&b);
	/* of the description some is missing, or all, and the end of the sections too */
	b.len = len - 1;
	CHECK(is_incomplete(&b, "before all devices"));
	check_split(&b);
	b.len = len - sizeof(cpu_json) + 1 - 5;
	CHECK(!is_incomplete(&b, "registers"));
	check_split(&b);
	b.len--;
	CHECK(is_incomplete(&b, "before all devices"));
	check_split(&b);
	/* and the clock */
	b.len -= 5;
	CHECK(is_incomplete(&b, "state of the clock"));
	blob_free(&b);
	/* suppress-vmdesc=on */
	b = make_split(false);
	CHECK(!is_incomplete(&b, "registers"));
	check_split(&b);
	blob_free(&b);
}

/* The word in front of a page is changed: the page is missing at its place. */
static void test_never_sent(void)
{
	struct blob b = make_split(true);
	unsigned char *word = memmem(b.p, b.len, "\0\0\0\0\0\x08\0\x28", 8);
	struct gdump *g;

	if (!CHECK(word))
		return;
	word[4] ^= 1;
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "past the end");
	word[4] ^= 1;
	word[6] ^= 0x10;
	CHECK(is_incomplete(&b, "1 page of memory never came"));
	CHECK_OK(open_blob(&b, &g));
	CHECK(strstr(gdump_info(g)->detail, "1 page came again"));
	CHECK_INT(gdump_info(g)->num_excluded, 1);
	gdump_close(g);
	blob_free(&b);
}

/* No section says the page size of such a machine, only the description. */
static void test_page_size(void)
{
	static const struct block blocks[] = { { "s390.ram", 2 * 16384 }, { 0 } };
	static const char json[] = "{\"page_size\":16384,\"devices\":[]}";
	unsigned char page[16384];
	struct blob b = { 0 };
	struct gdump *g;

	memset(page, 'p', sizeof(page));
	begin(&b, "s390-ccw-virtio-7.2");
	ram_start(&b, blocks);
	part(&b, 3);
	item(&b, 0, 0x08, "s390.ram");
	blob_put(&b, page, sizeof(page));
	zero(&b, 16384, NULL);
	ram_end(&b);
	describe(&b, json);
	CHECK_OK(open_blob(&b, &g));
	CHECK(!gdump_info(g)->incomplete);
	CHECK(has_page(g, 3 * PAGE, page));
	gdump_close(g);
	/* with another one, the stream is none */
	memcpy(memmem(b.p, b.len, "16384", 5), "32768", 5);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "at offset");
	blob_free(&b);
}

/* mapped-ram --------------------------------------------------------------- */

static struct blob make_mapped(void)
{
	enum { SIZE = MiB, PAGES = SIZE / PAGE, AT = 2 * MiB };
	unsigned char bitmap[PAGES / 8] = { 0 }, page[PAGE];
	struct blob b = { 0 };

	begin(&b, "pc-q35-9.1");
	capability(&b, "mapped-ram");
	start(&b, 1, 2, "ram", 0);
	be(&b, SIZE | 4, 8);
	name(&b, "pc.ram");
	be(&b, SIZE, 8);
	be(&b, 1, 4);
	be(&b, PAGE, 8);
	be(&b, b.len + 16, 8);
	be(&b, AT, 8);
	bitmap[0] = 0x06;                       /* pages 1 and 2 */
	bitmap[PAGES / 8 - 1] = 0x80;           /* and the last */
	blob_put(&b, bitmap, sizeof(bitmap));
	blob_put(&b, NULL, AT + SIZE - b.len);
	for (unsigned int i = 0; i < 3; i++) {
		page_of(page, 70 + i);
		memcpy(b.p + AT + (i < 2 ? i + 1 : PAGES - 1) * PAGE, page, PAGE);
	}
	memset(b.p + AT + 3 * PAGE, 0xaa, PAGE); /* stale: its bit is clear */
	be(&b, 0x200, 8);                       /* harmless here */
	be(&b, 0x10, 8);
	footer(&b, 2);
	part(&b, 3);
	ram_end(&b);
	put_cpu(&b, 1 << 14);
	describe(&b, cpu_json);
	return b;
}

static void test_mapped(void)
{
	unsigned char none[PAGE] = { 0 }, some[5 * PAGE];
	struct blob b = make_mapped();
	struct gdump *g;

	CHECK_OK(open_blob(&b, &g));
	CHECK(strstr(gdump_info(g)->detail, "mapped-ram"));
	CHECK_INT(gdump_info(g)->num_cpus, 1);
	CHECK(has_page(g, 0, none));
	CHECK(has_seed(g, PAGE, 70));
	CHECK(has_seed(g, 2 * PAGE, 71));
	CHECK(has_page(g, 3 * PAGE, none));
	CHECK(has_seed(g, MiB - PAGE, 72));
	CHECK_OK(gdump_read(g, 100, some, sizeof(some)));
	CHECK(!some[PAGE - 101] && some[3 * PAGE - 101] && !some[3 * PAGE - 100]);
	gdump_close(g);
	blob_free(&b);
}

/* Where the blocks are ---------------------------------------------------- */

/* Place blocks of a machine whose clock has these sizes; 0: there is no clock. */
static struct gdump_error *place_blocks(const char *machine, const struct block *blocks,
					uint64_t below, uint64_t above, struct placement *ret)
{
	static const struct placement_hints none = { 0 };
	struct migration_block list[4] = { 0 };
	struct migration m = { .blocks = list };
	struct devices d = { 0 };
	struct blob b = { 0 };
	struct gdump_error *err;
	size_t end;

	snprintf(m.machine, sizeof(m.machine), "%s", machine ? machine : "");
	for (; blocks[m.num_blocks].name; m.num_blocks++) {
		snprintf(list[m.num_blocks].name, sizeof(list[0].name), "%s",
			 blocks[m.num_blocks].name);
		list[m.num_blocks].size = blocks[m.num_blocks].size * MiB;
	}
	if (below)
		put_clock(&b, below * MiB, above * MiB);
	be(&b, 0, 1);
	CHECK_OK(devices_parse(&d, b.p, b.len, &end));
	CHECK_INT(end, b.len - 1);
	*ret = (struct placement){ 0 };
	err = placement_make(ret, &m, &d, &none);
	devices_deinit(&d);
	blob_free(&b);
	return err;
}

/* Blocks, and what ranges they must come to; sizes in MiB.  No range: an error. */
static const struct {
	const char *machine;
	struct block blocks[4];
	uint64_t below, above;
	uint64_t ranges[4];
	const char *warning;            /* or NULL: all is certain */
} layouts[] = {
	{ "pc-i440fx-7.2", { { "pc.ram", 3583 } }, 3583, 0, { 0, 3583 }, NULL },
	{ "pc-i440fx-7.2", { { "pc.ram", 5120 } }, 3072, 2048, { 0, 3072, 4096, 2048 }, NULL },
	{ "pc-i440fx-7.2", { { "pc.ram", 8 } }, 8, 0, { 0, 8 }, NULL },
	{ "pc-q35-rhel9.2.0", { { "pc.ram", 3072 } }, 2048, 1024, { 0, 2048, 4096, 1024 }, NULL },
	{ "microvm", { { "microvm.ram", 4096 } }, 3072, 1024, { 0, 3072, 4096, 1024 }, NULL },
	{ "pc-q35-7.2", { { "pc.ram", 1024 } }, 256, 768, { 0, 256, 4096, 768 }, NULL },
	{ NULL, { { "pc.ram", 5120 } }, 3072, 2048, { 0, 3072, 4096, 2048 }, NULL },
	/* without the clock, or when it contradicts: by the rules of machines, and not certain */
	{ "pc-i440fx-7.2", { { "pc.ram", 3583 } }, 0, 0, { 0, 3583 }, "the clock" },
	{ "pc-i440fx-7.2", { { "pc.ram", 3584 } }, 0, 0, { 0, 3072, 4096, 512 }, "the clock" },
	{ "pc-i440fx-7.2", { { "pc.ram", 5120 } }, 0, 0, { 0, 3072, 4096, 2048 }, "the clock" },
	{ "pc-q35-7.2", { { "pc.ram", 2815 } }, 0, 0, { 0, 2815 }, "the clock" },
	{ "pc-q35-rhel9.2.0", { { "pc.ram", 3072 } }, 0, 0, { 0, 2048, 4096, 1024 }, "the clock" },
	{ "microvm", { { "microvm.ram", 4096 } }, 0, 0, { 0, 3072, 4096, 1024 }, "the clock" },
	{ "pc-q35-7.2", { { "pc.ram", 1024 } }, 256, 1024, { 0, 1024 }, "the clock" },
	{ "pc-q35-7.2", { { "pc.ram", 1024 } }, 1023, 0, { 0, 1024 }, "the clock" },
	{ "pc", { { "/objects/mem0", 64 } }, 0, 0, { 0, 64 }, "the clock" },
	/* the same on machines that need no clock */
	{ "virt-7.2", { { "mach-virt.ram", 512 }, { "virt.flash0", 64 } }, 0, 0, { 1024, 512 }, NULL },
	{ "virt-7.2", { { "mach-virt.ram", 512 }, { "mach-virt.tag", 16 } }, 0, 0, { 1024, 512 }, NULL },
	{ "virt-7.2", { { "mach-virt.ram", 512 }, { "tpm-ppi", 1 } }, 0, 0, { 1024, 512 }, NULL },
	{ "raspi3b", { { "ram", 1024 } }, 0, 0, { 0, 1024 }, NULL },
	{ "sbsa-ref", { { "sbsa-ref.ram", 512 }, { "sbsa-ref.secure-ram", 512 } }, 0, 0,
	  { 1 << 20, 512 }, NULL },
	{ "virt", { { "riscv_virt_board.ram", 512 } }, 0, 0, { 2048, 512 }, NULL },
	{ "virt", { { "loongarch.ram", 1024 } }, 0, 0, { 0, 256, 2048, 768 }, NULL },
	{ "s390-ccw-virtio-7.2", { { "s390.ram", 5000 } }, 0, 0, { 0, 5000 }, NULL },
	{ "pc-q35-7.2", { { "ram-node1", 2048 }, { "ram-node0", 1024 } }, 2048, 1024,
	  { 0, 2048, 4096, 1024 }, NULL },
	{ "pc-q35-7.2", { { "b", 512 }, { "a", 256 } }, 768, 0, { 0, 768 }, "order of its names" },
	/* a DIMM whose address is unknown: by size it is not the machine's */
	{ "pc-q35-7.2", { { "b", 512 }, { "a", 256 } }, 256, 0, { 0, 256 }, "block 'b'" },
	{ "pc-q35-7.2", { { "pc.ram", 512 }, { "dimm", 256 } }, 512, 0, { 0, 512 }, "block 'dimm'" },
	{ "pc-q35-7.2", { { "b", 512 }, { "a", 256 } }, 0, 0, { 0 }, NULL },
	/* a machine that is unknown, or one of several */
	{ "what", { { "mem", 512 } }, 0, 0, { 0 }, NULL },
	{ "vexpress-a15", { { "mach-virt.ram", 512 } }, 0, 0, { 0 }, NULL },
	{ "virt", { { "mem", 512 } }, 0, 0, { 0 }, NULL },
	{ NULL, { { "mem", 512 } }, 0, 0, { 0 }, NULL },
};

/* Blocks that are adjacent in memory are one range. */
static void merge_ranges(struct placement *l)
{
	size_t n = 0;

	for (size_t i = 1; i < l->num_ranges; i++) {
		if (l->ranges[i].paddr == l->ranges[n].paddr + l->ranges[n].size)
			l->ranges[n].size += l->ranges[i].size;
		else
			l->ranges[++n] = l->ranges[i];
	}
	l->num_ranges = l->num_ranges ? n + 1 : 0;
}

static void test_layouts(void)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		const uint64_t *want = layouts[i].ranges;
		struct placement l;
		struct gdump_error *err = place_blocks(layouts[i].machine, layouts[i].blocks,
						       layouts[i].below, layouts[i].above, &l);

		merge_ranges(&l);
		if (want[1]) {
			CHECK_OK(err);
			CHECK_INT(l.num_ranges, want[3] ? 2 : 1);
		} else {
			CHECK_ERR(err, GDUMP_ERR_UNSUPPORTED, "");
		}
		for (size_t k = 0; want[1] && k < l.num_ranges; k++) {
			CHECK_INT(l.ranges[k].paddr, want[2 * k] * MiB);
			CHECK_INT(l.ranges[k].size, want[2 * k + 1] * MiB);
		}
		if (want[1] && !CHECK(layouts[i].warning ? !!strstr(l.warning, layouts[i].warning)
							 : !l.warning[0]))
			fprintf(stderr, "layout %zu: '%s'\n", i, l.warning);
		placement_deinit(&l);
	}
}

/* The nodes' contents lie in their order, across the hole. */
static void test_nodes(void)
{
	static const struct block blocks[] = {
		{ "ram-node1", 2 * GiB }, { "ram-node0", GiB }, { 0 },
	};
	struct blob b = { 0 };
	struct gdump *g;

	begin(&b, "pc-q35-7.2");
	ram_start(&b, blocks);
	part(&b, 3);
	raw(&b, 0, "ram-node0", 1);
	raw(&b, 0, "ram-node1", 2);
	raw(&b, GiB - PAGE, NULL, 3);
	raw(&b, GiB, NULL, 4);
	raw(&b, 2 * GiB - PAGE, NULL, 5);
	ram_end(&b);
	CHECK_OK(open_blob(&b, &g));
	CHECK(has_seed(g, 0, 1));
	CHECK(has_seed(g, GiB, 2));
	CHECK(has_seed(g, 2 * GiB - PAGE, 3));
	CHECK(has_seed(g, 4 * GiB, 4));
	CHECK(has_seed(g, 5 * GiB - PAGE, 5));
	gdump_close(g);
	blob_free(&b);
}

static const char virtio_mem_json[] =
	"{\"devices\":[{\"name\":\"0000:00:03.0/virtio-mem-device-early\",\"instance_id\":0,"
	"\"fields\":[{\"name\":\"tmp\",\"type\":\"tmp\",\"size\":28,\"fields\":["
	"{\"name\":\"addr\",\"size\":8},{\"name\":\"region_size\",\"size\":8},"
	"{\"name\":\"block_size\",\"size\":8},{\"name\":\"node\",\"size\":4}]},"
	"{\"name\":\"size\",\"size\":8}]}]}";

static void test_virtio_mem(void)
{
	static const struct block blocks[] = { { "pc.ram", 64 * MiB }, { "vm0", 32 * MiB }, { 0 } };
	struct blob b = { 0 };
	struct gdump *g;

	begin(&b, "pc-q35-9.0");
	ram_start(&b, blocks);
	/* its state comes early: before the pages */
	start(&b, 4, 3, "0000:00:03.0/virtio-mem-device-early", 0);
	be(&b, 0x140000000, 8);
	be(&b, 32 * MiB, 8);
	be(&b, 2 * MiB, 8);
	be(&b, 0, 4);
	be(&b, 0, 8);
	footer(&b, 3);
	part(&b, 3);
	raw(&b, 0, "vm0", 1);
	ram_end(&b);
	describe(&b, virtio_mem_json);
	CHECK_OK(open_blob(&b, &g));
	CHECK_INT(gdump_info(g)->num_ranges, 2);
	CHECK_INT(gdump_info(g)->ranges[1].start, 0x140000000);
	CHECK(has_seed(g, 0x140000000, 1));
	gdump_close(g);
	blob_free(&b);
}

/* libvirt ----------------------------------------------------------------- */

static const char domain_xml[] =
	"<?xml version='1.0'?><!-- <memory model='dimm'> -->\n<domain type='kvm'>\n"
	"<memory unit='KiB'>1</memory><os><type arch='x86_64' machine='pc-q35-6.2'>hvm</type></os>\n"
	"<devices><memory model='dimm'><target><size unit='KiB'>4</size></target>\n"
	"<alias name='dimm0'/><address type='dimm' slot='0' base='0x100000000'/></memory>\n"
	"<memory model=\"dimm\"><address type='dimm' slot='1' base='0x180000000'/></memory>\n"
	"<memory model='dimm'><alias name='dimm2'/></memory></devices></domain>";

static void test_domain(void)
{
	struct domain d = { 0 };

	CHECK_OK(domain_parse(&d, domain_xml, sizeof(domain_xml)));
	CHECK_STR(d.machine, "pc-q35-6.2");
	CHECK_INT(d.num_addrs, 2);
	CHECK_STR(d.addrs[0].block, "memdimm0");
	CHECK_INT(d.addrs[0].paddr, 0x100000000);
	CHECK_STR(d.addrs[1].block, "memdimm1");
	CHECK_INT(d.addrs[1].paddr, 0x180000000);
	domain_deinit(&d);
	for (size_t len = 0; len < sizeof(domain_xml); len++) {
		char *copy = malloc(len + 1);

		memcpy(copy, domain_xml, len);
		CHECK_OK(domain_parse(&d, copy, len));
		domain_deinit(&d);
		free(copy);
	}
}

static void test_libvirt(void)
{
	static const struct block blocks[] = { { "pc.ram", 3 * GiB }, { "memdimm0", MiB }, { 0 } };
	struct gdump *g;

	for (int big = 0; big < 2; big++) {
		struct blob b = { 0 };

		blob_put(&b, "LibvirtQemudSave", 16);
		(big ? be : blob_put_le)(&b, 2, 4);
		(big ? be : blob_put_le)(&b, sizeof(domain_xml) + 100, 4);
		blob_put(&b, NULL, 92 - b.len);
		blob_put(&b, domain_xml, sizeof(domain_xml));
		blob_put(&b, NULL, 100);
		begin(&b, NULL);
		ram_start(&b, blocks);
		part(&b, 3);
		raw(&b, PAGE, "memdimm0", 1);
		ram_end(&b);
		CHECK_ERR(open_blob(&b, &g), GDUMP_ERR_UNSUPPORTED, "same address");
		/* the rest of a q35's memory has what is at 4 GiB: elsewhere then */
		memcpy(memmem(b.p, b.len, "'0x100000000'", 13), "'0x200000000'", 13);
		CHECK_OK(open_blob(&b, &g));
		CHECK_STR(gdump_info(g)->format, "libvirt-save");
		CHECK_INT(gdump_info(g)->num_ranges, 3);
		CHECK(has_seed(g, 0x200001000, 1));
		gdump_close(g);
		memcpy(b.p + 92 + sizeof(domain_xml) + 100, "\x28\xb5\x2f\xfd", 4);
		CHECK_ERR(open_blob(&b, &g), GDUMP_ERR_UNSUPPORTED, "zstd -dc");
		blob_free(&b);
	}
}

/* What is refused --------------------------------------------------------- */

static void check_items(const char *what, enum gdump_code code, const struct blob *items)
{
	static const struct block blocks[] = { { "pc.ram", MiB }, { 0 } };
	struct blob b = { 0 };

	begin(&b, "pc");
	ram_start(&b, blocks);
	part(&b, 3);
	blob_put(&b, items->p, items->len);
	blob_put(&b, NULL, 65536);
	CHECK_ERR(try_blob(&b), code, what);
	CHECK_ERR(try_blob(&b), code, "at offset");
	blob_free(&b);
}

static void test_refused(void)
{
	static const struct {
		const char *what;
		uint64_t word;
		enum gdump_code code;
	} words[] = {
		{ "multifd", 0x200, GDUMP_ERR_UNSUPPORTED },
		{ "RDMA", 0x80, GDUMP_ERR_UNSUPPORTED },
		{ "obsolete", 0x01, GDUMP_ERR_UNSUPPORTED },
		{ "0x400", 0x400, GDUMP_ERR_CORRUPT },
		{ "0x18", 0x18, GDUMP_ERR_CORRUPT },
		{ "second list", MiB | 4, GDUMP_ERR_CORRUPT },
		{ "names no memory block", 0x28, GDUMP_ERR_CORRUPT },
	};
	struct blob b = { 0 };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		be(&b, words[i].word, 8);
		check_items(words[i].what, words[i].code, &b);
		blob_free(&b);
	}
	raw(&b, MiB, "pc.ram", 1);
	check_items("past the end of memory block 'pc.ram'", GDUMP_ERR_CORRUPT, &b);
	blob_free(&b);
	raw(&b, 0, "pc.rom", 1);
	check_items("'pc.rom' is not in the list", GDUMP_ERR_CORRUPT, &b);
	blob_free(&b);
	item(&b, 0, 0x100, "pc.ram");
	be(&b, 1 << 20, 4);
	check_items("compressed page", GDUMP_ERR_CORRUPT, &b);
	blob_free(&b);
	item(&b, 0, 0x40, "pc.ram");
	be(&b, 2, 1);
	check_items("XBZRLE", GDUMP_ERR_CORRUPT, &b);
	blob_free(&b);
	item(&b, 0, 0x40, "pc.ram");
	be(&b, 1, 1);
	be(&b, 0, 2);
	check_items("never sent", GDUMP_ERR_CORRUPT, &b);
	blob_free(&b);
	item(&b, 0, 0x02, "pc.ram");
	be(&b, 1, 1);
	check_items("zero page: 0x01", GDUMP_ERR_CORRUPT, &b);
	blob_free(&b);
	be(&b, 0x10, 8);
	footer(&b, 3);
	check_items("is that of another section", GDUMP_ERR_CORRUPT, &b);
	blob_free(&b);
}

static void test_refused_sections(void)
{
	static const struct block shared[] = { { "pc.ram", MiB }, { 0 } };
	struct blob b = { 0 };

	begin(&b, "pc");
	be(&b, 8, 1);                   /* POSTCOPY_RUN */
	be(&b, 5, 2);
	be(&b, 0, 2);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_UNSUPPORTED, "postcopy");
	blob_free(&b);
	begin(&b, "pc");
	be(&b, 0x55, 1);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "0x55 begins no section");
	blob_free(&b);
	begin(&b, "pc");
	be(&b, 5, 1);
	name(&b, "configuration/new");
	be(&b, 1, 4);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_UNSUPPORTED, "configuration/new");
	blob_free(&b);
	begin(&b, "pc");
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "the stream ends");
	blob_free(&b);
	begin(&b, "pc");
	capability(&b, "x-ignore-shared");
	start(&b, 1, 2, "ram", 0);
	be(&b, shared[0].size | 4, 8);
	name(&b, shared[0].name);
	be(&b, shared[0].size, 8);
	be(&b, 0, 8);
	be(&b, 0x10, 8);
	footer(&b, 2);
	part(&b, 3);
	ram_end(&b);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_UNSUPPORTED, "memory backend");
	blob_free(&b);
}

/* With postcopy prepared, a block of huge pages has their size in the list. */
static void test_huge_pages(void)
{
	struct blob b = { 0 };
	struct gdump *g;

	begin(&b, "pc");
	be(&b, 8, 1);
	be(&b, 3, 2);
	be(&b, 2, 2);
	be(&b, 0, 2);
	start(&b, 1, 2, "ram", 0);
	be(&b, (MiB + PAGE) | 4, 8);
	name(&b, "pc.ram");
	be(&b, MiB, 8);
	be(&b, 2 * MiB, 8);
	name(&b, "pc.rom");
	be(&b, PAGE, 8);
	be(&b, 0x10, 8);
	footer(&b, 2);
	part(&b, 3);
	raw(&b, 0, "pc.ram", 1);
	ram_end(&b);
	CHECK_OK(open_blob(&b, &g));
	CHECK(has_seed(g, 0, 1));
	gdump_close(g);
	blob_free(&b);
}

/* Hostile ----------------------------------------------------------------- */

static struct gdump_error *open_bytes(const unsigned char *p, size_t len, struct source **ret)
{
	struct bytes *in;
	struct gdump_error *err = bytes_memory_open(p, len, &in);

	*ret = NULL;
	return err ? err : format_savevm.open(in, ret);
}

/* Open it and read the beginning of each range. */
static bool survives(const unsigned char *p, size_t len)
{
	struct source *s;
	struct gdump_error *err = open_bytes(p, len, &s);
	unsigned char buf[8 * PAGE], state[8];
	bool ok;

	for (size_t i = 0; s && i < s->image.num_ranges; i++) {
		const struct gdump_range *r = &s->image.ranges[i];

		gdump_error_destroy(source_read(s, r->start, buf, sizeof(buf)));
		gdump_error_destroy(source_scan(s, r->start / s->image.page_size, 1, state, true));
	}
	source_close(s);
	ok = !err;
	gdump_error_destroy(err);
	return ok;
}

/* A copy of just its size, so that ASan sees what is read behind it. */
static bool survives_copy(const unsigned char *p, size_t len)
{
	unsigned char *copy = malloc(len);
	bool ok;

	memcpy(copy, p, len);
	ok = survives(copy, len);
	free(copy);
	return ok;
}

static void test_truncated(void)
{
	struct blob b = make_stream(), mapped = make_mapped();
	bool before = false;

	for (size_t len = 0; len < b.len; len += len > 300 && len < b.len - 3000 ? 37 : 1) {
		const bool ok = survives_copy(b.p, len + 1);

		/* once the list of blocks is there, all of it can be opened */
		if (!CHECK(ok || !before))
			fprintf(stderr, "at %zu of %zu\n", len, b.len);
		before = ok;
	}
	CHECK(before);
	for (size_t len = 1; len < 300; len++)
		survives_copy(mapped.p, len);
	survives_copy(mapped.p, 2 * MiB + 17);
	survives_copy(mapped.p, 3 * MiB + 3);
	blob_free(&b);
	blob_free(&mapped);
}

/* What came before the end is right, the rest is said to be missing. */
static void test_cut(void)
{
	struct blob b = make_stream();
	unsigned char page[PAGE];
	struct gdump *g;

	b.len /= 2;
	CHECK_OK(open_blob(&b, &g));
	CHECK(gdump_info(g)->incomplete);
	CHECK(gdump_info(g)->num_excluded > 200);
	CHECK(has_seed(g, 0, 1));
	CHECK_ERR(gdump_read(g, 100 * PAGE, page, PAGE), GDUMP_ERR_NODATA, "not in the file");
	gdump_close(g);
	blob_free(&b);
}

static void mutate(unsigned char *p, size_t len, uint64_t *seed)
{
	static const unsigned char values[] = { 0, 1, 2, 3, 4, 0x7e, 0x7f, 0x80, 0xff };
	const unsigned int num = 1 + (unsigned int)random_below(seed, 4);

	for (unsigned int i = 0; i < num; i++) {
		const size_t at = (size_t)random_below(seed, len);

		p[at] = random_below(seed, 2) ? values[random_below(seed, sizeof(values))]
					      : (unsigned char)random_next(seed);
	}
}

/* Most bytes are pages: those that are not are changed more often. */
static void test_mutated(void)
{
	struct blob b = make_stream();
	unsigned char *copy = malloc(b.len);
	uint64_t seed = 1;

	for (unsigned int i = 0; i < 6000; i++) {
		const size_t end = sizeof(cpu_json) + 1200;

		memcpy(copy, b.p, b.len);
		if (i % 3 == 0)
			mutate(copy, 300, &seed);
		else if (i % 3 == 1)
			mutate(copy + b.len - end, end, &seed);
		else
			mutate(copy, b.len, &seed);
		survives(copy, b.len);
	}
	free(copy);
	blob_free(&b);
}

/* A few bytes for each page would make megabytes of index. */
static void test_scattered(void)
{
	static const struct block blocks[] = { { "pc.ram", (uint64_t)1 << 40 }, { 0 } };
	enum { NUM = 100000 };
	struct blob b = { 0 };
	size_t at;

	begin(&b, "pc");
	ram_start(&b, blocks);
	part(&b, 3);
	zero(&b, 0, "pc.ram");
	at = b.len;
	blob_put(&b, NULL, NUM * 9);
	for (uint64_t i = 1; i <= NUM; i++, at += 9)
		store_be(b.p + at, i * 512 * PAGE | 0x22, 8);
	ram_end(&b);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "scattered");
	blob_free(&b);
}

/* In pieces --------------------------------------------------------------- */

static struct report feed(const struct blob *b, size_t step, bool skips)
{
	const struct report r = stream_feed(b->p, b->len, step, skips);

	if (r.ram_done)
		CHECK_INT(r.rest, b->len - r.pos);
	return r;
}

static const size_t steps[] = { 1, 2, 3, 7, 40, 121, 4096, 9841 };

static void check_pieces(const struct blob *b)
{
	const struct report whole = feed(b, SIZE_MAX, false);

	CHECK_INT(whole.elsewhere, 0);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		const struct report r = feed(b, steps[i], false);

		CHECK_INT(r.sum, whole.sum);
		CHECK_INT(r.num_pages, whole.num_pages);
		/* only a page that a piece ends in is copied */
		CHECK(r.elsewhere <= b->len / steps[i] + 1);
	}
}

/* However a stream is cut, the events are the same, and so are the errors. */
static void test_pieces(void)
{
	struct blob b = make_stream();
	const struct migration_events none = { report_blocks, report_page, NULL, NULL,
					       &(struct report){ 0 } };
	struct migration m;
	size_t all = b.len;

	CHECK_OK(migration_init(&m, 0, &none));
	CHECK_OK(migration_feed(&m, b.p, b.len));
	CHECK(m.ram_done);
	CHECK_STR(m.machine, "pc-i440fx-7.2");
	/* where it stopped, the CPU comes */
	CHECK(!memcmp(b.p + migration_pos(&m), "\4\0\0\0\7\3cpu", 9));
	migration_deinit(&m);
	CHECK_INT(feed(&b, 1, false).num_pages, 13 + 251);
	check_pieces(&b);
	/* and of one that ends early, or within what is judged */
	for (b.len = 0; b.len < all; b.len += b.len < 300 ? 1 : 1009)
		check_pieces(&b);
	blob_free(&b);
}

/* What is not needed may be skipped, or be fed. */
static void test_skipped(void)
{
	struct blob b = make_mapped();
	const struct report whole = feed(&b, SIZE_MAX, false);

	CHECK_INT(whole.num_pages, 0);
	check_pieces(&b);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		CHECK_INT(feed(&b, steps[i], true).sum, whole.sum);
	blob_free(&b);
}

/* A section between the RAM and the devices, with what looks like its footer: the bytes
 * that were carried over to judge it belong to the devices.
 */
static void test_judged(size_t pad)
{
	static const struct block blocks[] = { { "pc.ram", MiB }, { 0 } };
	struct blob b = { 0 };

	begin(&b, "pc");
	ram_start(&b, blocks);
	part(&b, 2);
	raw(&b, 0, "pc.ram", 1);
	ram_end(&b);
	be(&b, 2, 1);
	be(&b, 5, 4);
	blob_put(&b, NULL, pad);
	for (unsigned int i = 0; i < 100; i++)
		footer(&b, 5 + i % 3);
	/* nor is this one: no section has such a name, which shows only at its end */
	footer(&b, 5);
	start(&b, 4, 7, "looks like a name, but\1", 0);
	be(&b, 0x0102030405060708, 8);
	footer(&b, 5);
	put_cpu(&b, 1 << 14);
	describe(&b, cpu_json);
	CHECK_INT(feed(&b, SIZE_MAX, false).num_pages, 1);
	check_pieces(&b);
	blob_free(&b);
}

/* Changed streams, too, are the same stream however they are cut. */
static void test_mutated_pieces(void)
{
	struct blob b = make_stream(), copy = { 0 };
	uint64_t seed = 7;

	blob_put(&copy, b.p, b.len);
	for (unsigned int i = 0; i < 300; i++) {
		const size_t step = steps[i % (sizeof(steps) / sizeof(steps[0]))];

		memcpy(copy.p, b.p, b.len);
		mutate(copy.p, i % 2 ? 300 : b.len, &seed);
		CHECK_INT(feed(&copy, step, false).sum, feed(&copy, SIZE_MAX, false).sum);
	}
	blob_free(&copy);
	blob_free(&b);
}

static void test_delta(void)
{
	unsigned char page[64] = { 0 };

	CHECK(page_apply_delta(page, 64, page, 0));
	CHECK(page_apply_delta(page, 64, (const unsigned char *)"\x3e\x02" "ab", 4));
	CHECK(page[62] == 'a' && page[63] == 'b');
	CHECK(!page_apply_delta(page, 64, (const unsigned char *)"\x3f\x02" "ab", 4));
	CHECK(!page_apply_delta(page, 64, (const unsigned char *)"\x00\x03" "ab", 4));
	CHECK(!page_apply_delta(page, 64, (const unsigned char *)"\x41\x01" "a", 3));
	CHECK(!page_apply_delta(page, 64, (const unsigned char *)"\x80", 1));
	CHECK(!page_apply_delta(page, 64, (const unsigned char *)"\x80\x80\x01", 3));
	CHECK(!page_apply_delta(page, 64, (const unsigned char *)"\x01", 1));
}

int main(void)
{
	dumpfile_dir();
	test_pages();
	test_runs();
	test_registers();
	test_snapshot();
	test_description();
	test_never_sent();
	test_page_size();
	test_mapped();
	test_layouts();
	test_nodes();
	test_virtio_mem();
	test_domain();
	test_libvirt();
	test_refused();
	test_refused_sections();
	test_huge_pages();
	test_truncated();
	test_cut();
	test_mutated();
	test_scattered();
	test_pieces();
	test_skipped();
	for (size_t pad = 0; pad < 64; pad += 3)
		test_judged(pad);
	test_mutated_pieces();
	test_delta();
	dumpfile_done();
	return check_done();
}
