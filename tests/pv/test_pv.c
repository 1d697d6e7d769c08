/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_pv MKPV - decryption, with known answers and with damaged dumps
 */
#include <elf.h>

#include "../unit/dumpfile.h"
#include "../unit/random.h"

#include "pv/cpu.h"
#include "pv/meta.h"

enum { PAGE = 4096, COMPL = 288, AREA = 1568 };

static const char *mkpv, *wrapper;       /* what runs programs of another machine, or NULL */

static void put(struct blob *b, uint64_t v, unsigned int n)
{
	while (n--) {
		const unsigned char byte = (unsigned char)(v >> 8 * n);

		blob_put(b, &byte, 1);
	}
}

static void unhex(unsigned char *p, const char *hex)
{
	for (unsigned int byte; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		*p++ = (unsigned char)byte;
}

static bool is_hex(const unsigned char *p, const char *hex)
{
	unsigned char wanted[128];

	unhex(wanted, hex);
	return !memcmp(p, wanted, strlen(hex) / 2);
}

static bool run(const char *args)
{
	char command[1024];

	snprintf(command, sizeof(command), "%s '%s' %s", wrapper ? wrapper : "", mkpv, args);
	return CHECK(!system(command));
}

static struct gdump_error *open_key(const char *name, const char *key, bool strict,
				    struct gdump **ret)
{
	const struct gdump_open_options opt = {
		.size = sizeof(opt), .key_file = key, .strict = strict,
	};

	*ret = NULL;
	return gdump_open(name, &opt, ret);
}

static void save_key(const char *name, const char *hex)
{
	struct blob b = { 0 };

	blob_put(&b, NULL, strlen(hex) / 2);
	unhex(b.p, hex);
	blob_save(&b, name);
	blob_free(&b);
}

/* Pages 40 to 42 and one CPU; page 41 is the published one. */
static void save_plain(const char *name)
{
	struct blob b = { 0 };
	const unsigned char ident[16] = "\177ELF\2\2\1";

	blob_put(&b, ident, sizeof(ident));
	put(&b, ET_CORE, 2), put(&b, EM_S390, 2), put(&b, 1, 4), put(&b, 0, 8);
	put(&b, 64, 8), put(&b, 0, 8), put(&b, 0, 4), put(&b, 64, 2);
	put(&b, 56, 2), put(&b, 2, 2), put(&b, 64, 2), put(&b, 0, 4);
	put(&b, PT_NOTE, 4), put(&b, 0, 4), put(&b, 176, 8), put(&b, 0, 8), put(&b, 0, 8);
	put(&b, 356, 8), put(&b, 356, 8), put(&b, 0, 8);
	put(&b, PT_LOAD, 4), put(&b, 7, 4), put(&b, 532, 8), put(&b, 40 * PAGE, 8);
	put(&b, 40 * PAGE, 8), put(&b, 3 * PAGE, 8), put(&b, 3 * PAGE, 8), put(&b, 0, 8);
	put(&b, 5, 4), put(&b, 336, 4), put(&b, NT_PRSTATUS, 4);
	blob_put(&b, "CORE\0\0\0", 8);
	blob_put(&b, NULL, 336);
	for (uint64_t paddr = 40 * PAGE; paddr < 43 * PAGE; paddr += 8)
		put(&b, (uint64_t)0x5150 << 48 | paddr, 8);
	blob_save(&b, name);
	blob_free(&b);
}

/* Key, seed, nonce, page key and what they give, as published: computed by another
 * implementation of the firmware's side, and decrypted by zgetdump.
 */
static void test_known_answer(void)
{
	unsigned char buf[PAGE];
	const unsigned char *compl, *page;
	struct blob b;
	struct gdump *g;

	save_key("key", "63cbe1e459320dd7044c3cd7f43c661ce6984080bab12a02953aeb70673e29cb");
	save_plain("plain");
	if (!run("seal plain key sealed vector"))
		return;
	b = blob_load("sealed");
	compl = b.p + b.len - 35 - COMPL;
	page = compl - 3 * 16 - 2 * PAGE;
	CHECK(is_hex(compl, "00000001000001200000000000000000"));
	CHECK(is_hex(compl + 96, "d42418f1bd65230c6854c623df900729145a040a4008e86c1f2217a1969c1109"));
	CHECK(is_hex(compl + 272, "b13979aa4802c830332176634c8005b7"));
	CHECK(is_hex(page, "9665b15d69acba5c288f79e051a82b8e"));
	CHECK(is_hex(page + PAGE - 16, "8d749e50a7c7f26f047dcfe12ded7db4"));
	CHECK_OK(open_key("sealed", "key", true, &g));
	CHECK_OK(gdump_read(g, 41 * PAGE, buf, PAGE));
	CHECK(is_hex(buf, "51500000000290005150000000029008"));
	CHECK(is_hex(buf + PAGE - 16, "5150000000029ff05150000000029ff8"));
	gdump_close(g);
	blob_free(&b);
}

/* Any part of memory is the same, however it is cut. */
static void test_parts(void)
{
	static unsigned char whole[64 * PAGE], part[64 * PAGE];
	uint64_t seed = 12;
	struct gdump *g, *plain;

	if (!run("plain p 5 2 0x100000:0x40000") || !run("seal p key s"))
		return;
	CHECK_OK(open_dump("p", &plain));
	CHECK_OK(gdump_read(plain, 0x100000, whole, sizeof(whole)));
	CHECK_OK(open_key("s", "key", true, &g));
	for (int i = 0; i < 2000; i++) {
		const uint64_t off = random_below(&seed, sizeof(whole));
		const uint64_t most = i % 2 ? 3 * PAGE : 64 * PAGE;
		uint64_t len = 1 + random_below(&seed, most);

		len = len < sizeof(whole) - off ? len : sizeof(whole) - off;
		CHECK_OK(gdump_read(g, 0x100000 + off, part, len));
		CHECK(!memcmp(part, whole + off, len));
	}
	gdump_close(g);
	gdump_close(plain);
}

static void test_states(void)
{
	static const struct {
		const char *component;
		enum pv_state state;
	} rows[] = {
		{ "00000000000000000000000000000000", PV_ENCRYPTED },
		{ "fffffffe0000000000000000000000ff", PV_ENCRYPTED },
		{ "7fffffff00000000000000000000ff01", PV_ENCRYPTED },
		{ "ffffffff000000000000000000000001", PV_ZERO },
		{ "ffffffff112233445566778899aa0005", PV_ZERO },
		{ "ffffffff000000000000000000000002", PV_SHARED },
		{ "ffffffff000000000000000000000006", PV_SHARED },
		{ "ffffffff000000000000000000000000", PV_INVALID },
		{ "ffffffff000000000000000000000004", PV_INVALID },
		{ "ffffffff000000000000000000000003", PV_INVALID },
		{ "ffffffff000000000000000000000007", PV_INVALID },
		{ "ffffffff000000000000000000000009", PV_INVALID },
		{ "ffffffff000000000000000000000081", PV_INVALID },
		{ "ffffffff000000000000000000000101", PV_INVALID },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned char c[16];

		unhex(c, rows[i].component);
		CHECK_INT(pv_state(c), rows[i].state);
	}
}

static struct gdump_error *meta_init(uint64_t size, const struct pv_load *loads, size_t num,
				     struct pv_meta *m)
{
	*m = (struct pv_meta){ .off = 1000, .size = size, .num_loads = num,
			       .loads = calloc(num, sizeof(*loads)) };
	memcpy(m->loads, loads, num * sizeof(*loads));
	return pv_meta_init(m);
}

/* Where the components of a segment are */
static void test_meta_places(void)
{
	static const struct pv_load two[] = {
		{ .paddr = 0x40000000, .size = 0x200000, .there = 0x200000 },
		{ .paddr = 0x1000000, .size = 0x100000, .there = 0x100000 },
	};
	static const struct pv_load overlap[] = {
		{ .paddr = 0x100000, .size = 0x2000, .there = 0x2000 },
		{ .paddr = 0x101000, .size = 0x2000, .there = 0x2000 },
	};
	static const struct pv_load odd = { .paddr = 0x100800, .size = 0x1000, .there = 0x1000 };
	static const struct pv_load huge[] = {
		{ .paddr = 0, .size = (uint64_t)1 << 63, .there = 0x1000 },
		{ .paddr = (uint64_t)1 << 63, .size = (uint64_t)1 << 63, .there = 0 },
	};
	struct pv_meta m;

	/* in the order of the file */
	CHECK_OK(meta_init(768 * 16, two, 2, &m));
	CHECK(!m.by_address);
	CHECK_INT(m.loads[0].paddr, 0x1000000);
	CHECK_INT(m.loads[0].off, 1000 + 512 * 16);
	CHECK_INT(m.loads[1].off, 1000);
	pv_meta_deinit(&m);
	/* longer, but not so long that all addresses fit */
	CHECK_OK(meta_init(800 * 16, two, 2, &m));
	CHECK(!m.by_address);
	pv_meta_deinit(&m);
	/* in the order of addresses */
	CHECK_OK(meta_init(0x40200000 / 256, two, 2, &m));
	CHECK(m.by_address);
	CHECK_INT(m.loads[0].off, 1000 + 0x1000000 / 256);
	CHECK_INT(m.loads[1].off, 1000 + 0x40000000 / 256);
	pv_meta_deinit(&m);
	CHECK_ERR(meta_init(768 * 16 - 1, two, 2, &m), GDUMP_ERR_CORRUPT,
		  "pv_mem_meta has 12287 bytes, and the segments need 12288");
	pv_meta_deinit(&m);
	CHECK_ERR(meta_init(1 << 20, overlap, 2, &m), GDUMP_ERR_CORRUPT, "overlap");
	pv_meta_deinit(&m);
	CHECK_ERR(meta_init(1 << 20, &odd, 1, &m), GDUMP_ERR_CORRUPT, "whole pages");
	pv_meta_deinit(&m);
	CHECK_ERR(meta_init(1 << 20, huge, 2, &m), GDUMP_ERR_CORRUPT, "the segments need");
	pv_meta_deinit(&m);
}

/* Read all that is there; nothing may crash. */
static void read_all(struct gdump *g)
{
	const struct gdump_info *info = gdump_info(g);
	struct gdump_protection protection = { .size = sizeof(protection) };
	static unsigned char buf[16 * PAGE];
	struct gdump_register r;

	gdump_error_destroy(gdump_protection(g, &protection));
	for (size_t i = 0; i < info->num_ranges; i++) {
		const struct gdump_range *range = &info->ranges[i];

		for (uint64_t off = 0; off < range->size && off < 64 * PAGE; off += sizeof(buf))
			gdump_error_destroy(gdump_read(g, range->start + off, buf, sizeof(buf)));
	}
	for (size_t cpu = 0; cpu < info->num_cpus && cpu < 4; cpu++)
		gdump_register_at(g, cpu, 3, &r);
}

/* Where things are in a dump of mkpv with two CPUs and 16 pages */
struct places {
	size_t areas[2], meta, compl, names;
};

static struct places find_places(const struct blob *b)
{
	struct places p = { .names = b->len - 35 };
	int n = 0;

	p.compl = p.names - COMPL;
	p.meta = p.compl - 16 * 16;
	/* behind "LINUX" and the padding, when the type is 0x30e */
	for (size_t i = 432; i + 20 < p.meta && n < 2; i += 4) {
		if (!memcmp(b->p + i, "\0\0\3\016LINUX\0\0\0", 12))
			p.areas[n++] = i + 12;
	}
	CHECK_INT(n, 2);
	return p;
}

/* A flipped bit in what is sealed is always noticed. */
static void test_sealed_bits(void)
{
	uint64_t seed = 1;
	struct blob b;
	struct places p;
	struct gdump *g;

	if (!run("plain p 5 2 0x100000:0x10000") || !run("seal p key s"))
		return;
	b = blob_load("s");
	p = find_places(&b);
	for (size_t i = 0; i < COMPL; i += getenv("GUESTDUMP_QUICK") ? 11 : 1) {
		const unsigned char bit = (unsigned char)(1 << random_below(&seed, 8));
		struct gdump_error *err;

		b.p[p.compl + i] ^= bit;
		blob_save(&b, "flipped");
		err = open_key("flipped", "key", false, &g);
		CHECK(err && strstr(gdump_error_message(err), "pv_compl"));
		gdump_error_destroy(err);
		gdump_close(g);
		b.p[p.compl + i] ^= bit;
	}
	for (size_t i = 0; i < AREA; i += i < 32 ? 1 : 37) {
		const unsigned char bit = (unsigned char)(1 << random_below(&seed, 8));

		b.p[p.areas[1] + i] ^= bit;
		blob_save(&b, "flipped");
		CHECK_OK(open_key("flipped", "key", false, &g));
		if (g)
			CHECK_INT(gdump_info(g)->num_lost_cpus, 1);
		gdump_close(g);
		b.p[p.areas[1] + i] ^= bit;
	}
	blob_free(&b);
}

/* Anything else that is flipped gives an error or garbage, and no more than that. */
static void test_any_bit(void)
{
	uint64_t seed = 2;
	struct blob b;
	struct places p;
	struct gdump *g;

	if (!run("plain p 5 2 0x100000:0x8000 0x200000:0x8000") || !run("seal p key s"))
		return;
	b = blob_load("s");
	p = find_places(&b);
	for (int i = 0; i < (getenv("GUESTDUMP_QUICK") ? 100 : 1000); i++) {
		/* headers, the heads of notes, the components, the names */
		static const size_t lens[] = { 432 + 56, 24, 16 * 16, 35 };
		const size_t begins[] = { 0, p.areas[i / 4 % 2] - 24, p.meta, p.names };
		unsigned char old[8];
		const size_t off = begins[i % 4] + random_below(&seed, lens[i % 4]);
		const size_t len = i % 3 ? 1 : 8 < b.len - off ? 8 : b.len - off;

		memcpy(old, b.p + off, len);
		if (len == 1)
			b.p[off] ^= (unsigned char)(1 << random_below(&seed, 8));
		else
			random_bytes(&seed, b.p + off, len);
		blob_save(&b, "flipped");
		for (int with = 0; with < 2; with++) {
			gdump_error_destroy(open_key("flipped", with ? "key" : NULL, i % 5 == 0, &g));
			if (g)
				read_all(g);
			gdump_close(g);
		}
		memcpy(b.p + off, old, len);
	}
	blob_free(&b);
}

/* A file that ends early */
static void test_cuts(void)
{
	struct blob b;
	struct gdump *g;

	if (!run("plain p 5 2 0x100000:0x10000") || !run("seal p key s") ||
	    !run("seal p key e early"))
		return;
	for (int early = 0; early < 2; early++) {
		b = blob_load(early ? "e" : "s");
		for (size_t len = b.len; len > 6000; len -= len > 70000 ? 613 : 3) {
			b.len = len;
			blob_save(&b, "cut");
			gdump_error_destroy(open_key("cut", "key", false, &g));
			if (g)
				read_all(g);
			gdump_close(g);
			if (len < 60000)
				len -= getenv("GUESTDUMP_QUICK") ? 5000 : 500;
		}
		blob_free(&b);
	}
}

int main(int argc, char **argv)
{
	static char path[4096];

	if (argc != 2 || !realpath(argv[1], path))
		return 2;
	mkpv = path;
	wrapper = getenv("MESON_EXE_WRAPPER");
	dumpfile_dir();
	test_known_answer();
	test_parts();
	test_states();
	test_meta_places();
	test_sealed_bits();
	test_any_bit();
	test_cuts();
	dumpfile_done();
	return check_done();
}
