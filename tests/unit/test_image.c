/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include <elf.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "machine/image.h"
#include "random.h"
#include "util/cursor.h"

enum { RAM = GDUMP_RANGE_RAM, DEVICE = GDUMP_RANGE_DEVICE };

static void check_ranges(const struct image *image, const char *wanted)
{
	char text[1024] = "";
	size_t len = 0;

	for (size_t i = 0; i < image->num_ranges; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%llx+%llx%s",
					i ? " " : "", (unsigned long long)image->ranges[i].start,
					(unsigned long long)image->ranges[i].size,
					image->ranges[i].kind == DEVICE ? "d" : "");
	CHECK_STR(text, wanted);
}

static void add(struct image *image, uint64_t start, uint64_t size, uint32_t kind)
{
	CHECK_OK(image_add_range(image, start, size, kind));
}

static void test_ranges_merge(void)
{
	struct image image = { .machine = EM_AARCH64 };

	add(&image, 0x8000, 0x1000, RAM);
	add(&image, 0x1000, 0x1000, RAM);
	add(&image, 0x2000, 0x1000, RAM);       /* touches */
	add(&image, 0x3000, 0x1000, DEVICE);    /* touches, but of another kind */
	add(&image, 0x5000, 0, RAM);            /* nothing */
	add(&image, 0x8800, 0x1000, RAM);       /* overlaps */
	add(&image, 0x8100, 0x10, DEVICE);      /* inside of another */
	CHECK_OK(image_seal(&image));
	check_ranges(&image, "1000+2000 3000+1000d 8000+1800");
	image_deinit(&image);
}

/* The last byte of all memory is 2^64 - 1. */
static void test_ranges_top(void)
{
	struct image image = { .machine = EM_AARCH64 };

	add(&image, UINT64_MAX - 0xfff, 0x1000, RAM);
	add(&image, UINT64_MAX - 0x1fff, 0x1800, RAM);
	add(&image, UINT64_MAX, 1, RAM);
	CHECK_ERR(image_add_range(&image, UINT64_MAX, 2, RAM), GDUMP_ERR_CORRUPT,
		  "exceeds the address space");
	CHECK_OK(image_seal(&image));
	check_ranges(&image, "ffffffffffffe000+2000");
	CHECK(image_range_at(&image, UINT64_MAX) == image.ranges);
	CHECK(!image_range_at(&image, 0));
	image_deinit(&image);
}

static void test_too_much(void)
{
	struct image image = { .machine = EM_AARCH64 };

	add(&image, 0, (uint64_t)1 << 47, RAM);
	add(&image, (uint64_t)1 << 60, (uint64_t)1 << 47, RAM);
	CHECK_OK(image_seal(&image));
	add(&image, (uint64_t)1 << 62, 1, RAM);
	CHECK_ERR(image_seal(&image), GDUMP_ERR_UNSUPPORTED, "more than 256 TiB");
	image_deinit(&image);
}

static void test_range_at(void)
{
	struct image image = { .machine = EM_AARCH64 };

	for (uint64_t i = 0; i < 100; i++)
		add(&image, 0x10000 + i * 0x2000, 0x1000, RAM);
	CHECK_OK(image_seal(&image));
	for (uint64_t paddr = 0; paddr < 0x10000 + 100 * 0x2000; paddr += 0x800) {
		const struct gdump_range *r = image_range_at(&image, paddr);
		const bool in = paddr >= 0x10000 && paddr % 0x2000 < 0x1000;

		CHECK(in ? r && r->start == paddr / 0x2000 * 0x2000 : !r);
		CHECK_INT(image_touches(&image, paddr, 1), in);
		CHECK_INT(image_touches(&image, paddr, 0x800), in);
	}
	CHECK(!image_touches(&image, 0, 0x10000) && image_touches(&image, 0, 0x10001));
	CHECK(!image_touches(&image, 0x11000, 0x1000) && image_touches(&image, 0x10fff, 0x1000));
	CHECK(image_touches(&image, 0, UINT64_MAX) && !image_touches(&image, 0x10000, 0));
	CHECK(!image_touches(&image, UINT64_MAX, UINT64_MAX));
	image_deinit(&image);
}

static void test_clip(void)
{
	static const struct {
		uint64_t begin, length;
		const char *wanted;
	} cases[] = {
		{ 0, UINT64_MAX, "1000+1000 4000+2000" }, { 0x1800, 0x2900, "1800+800 4000+100" },
		{ 0x4100, 0x10, "4100+10" }, { 0x2000, 0x2000, "" }, { 0x1fff, 1, "1fff+1" },
		{ 0x5000, UINT64_MAX, "5000+1000" }, { UINT64_MAX, 1, "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct image image = { .machine = EM_AARCH64 };

		add(&image, 0x1000, 0x1000, RAM);
		add(&image, 0x4000, 0x2000, RAM);
		CHECK_OK(image_seal(&image));
		CHECK_OK(image_clip(&image, cases[i].begin, cases[i].length));
		check_ranges(&image, cases[i].wanted);
		image_deinit(&image);
	}
}

/* Only a PC has its firmware there. */
static void test_firmware(void)
{
	struct image pc = { .machine = EM_X86_64 }, arm = { .machine = EM_AARCH64 };

	add(&pc, 0xfffc0000, 0x40000, RAM);
	add(&pc, 0, 0x1000, RAM);
	add(&arm, 0xfffc0000, 0x40000, RAM);
	CHECK_OK(image_seal(&pc));
	CHECK_OK(image_seal(&arm));
	check_ranges(&pc, "0+1000 fffc0000+40000d");
	check_ranges(&arm, "fffc0000+40000");
	image_deinit(&pc);
	image_deinit(&arm);
}

static void put_note(struct cursor *c, uint32_t namesz, uint32_t descsz, uint32_t type,
		     const char *name, size_t room)
{
	put_u32(c, namesz);
	put_u32(c, descsz);
	put_u32(c, type);
	put_bytes(c, name, 8);
	put_zeros(c, room);
}

static size_t parse(struct image *image, const void *buf, size_t len)
{
	/* a copy of just that size, so that tools see a read behind it */
	void *copy = malloc(len ? len : 1);
	size_t understood = 0;

	memcpy(copy, buf, len);
	CHECK_OK(image_parse_notes(image, copy, len, &understood));
	free(copy);
	return understood;
}

static void test_notes_broken(void)
{
	/* a good note, and one that claims this name and descriptor */
	static const struct {
		uint32_t namesz, descsz;
		size_t len, notes;
	} cases[] = {
		{ 5, 8, 56, 2 }, { 8, 8, 56, 2 }, { 5, 9, 56, 1 }, { 5, 7, 56, 2 },
		{ 5, 7, 55, 2 },        /* the last one lacks its padding */
		{ 5, 8, 55, 1 }, { 5, 0, 48, 2 }, { 5, 8, 47, 1 }, { 5, 8, 40, 1 }, { 5, 8, 39, 1 },
		{ 0, 0, 40, 2 }, { 0xffffffff, 8, 56, 1 }, { 0xfffffffd, 8, 56, 1 },
		{ 5, 0xffffffff, 56, 1 }, { 5, 0xfffffffc, 56, 1 }, { 64, 8, 56, 1 },
		{ 5, 0x80000000, 56, 1 }, { 0x1000, 0x1000, 56, 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct image image = { .machine = EM_X86_64 };
		unsigned char buf[64] = { 0 };
		struct cursor c = cursor_init(buf, sizeof(buf), false, true);
		size_t understood;

		put_note(&c, 5, 8, 1, "CORE\0\0\0", 8);
		put_note(&c, cases[i].namesz, cases[i].descsz, 2, "CORE\0\0\0", 8);
		understood = parse(&image, buf, cases[i].len);
		if (!CHECK_INT(image.num_notes, cases[i].notes))
			fprintf(stderr, "  in case %zu\n", i);
		CHECK(understood >= 28 && understood <= cases[i].len);
		CHECK(image.num_notes < 2 || image.notes[1].size == cases[i].descsz);
		image_deinit(&image);
	}
}

/* Whatever the bytes are, nothing is read behind them. */
static void test_notes_random(void)
{
	uint64_t seed = 1;

	for (int i = 0; i < 2000; i++) {
		struct image image = { .big = i & 1 };
		unsigned char buf[96];
		size_t len = (size_t)random_below(&seed, sizeof(buf) + 1);

		random_bytes(&seed, buf, len);
		/* small numbers more often than not */
		for (size_t k = 0; k + 4 <= len; k += 4) {
			if (random_below(&seed, 3))
				memset(buf + k + (image.big ? 0 : 1), 0, 3);
		}
		CHECK(parse(&image, buf, len) <= len);
		CHECK_OK(image_seal(&image));
		image_deinit(&image);
	}
}

static void test_notes_again(void)
{
	struct image a = { .machine = EM_S390, .big = true, .is64 = true };
	struct image b = { .machine = EM_S390, .big = true, .is64 = true };
	unsigned char buf[256];
	size_t size;

	CHECK_OK(image_add_note(&a, "CORE", NT_PRSTATUS, "abcdefg", 7));
	CHECK_OK(image_add_note(&a, "", 9, "", 0));
	CHECK_OK(image_add_note(&a, "VMCOREINFO", 0, "A=1\nB=2\n", 8));
	size = image_notes_size(&a);
	CHECK_INT(size, 12 + 8 + 8 + 12 + 4 + 12 + 12 + 8);
	memset(buf, 0xee, sizeof(buf));
	image_notes_put(&a, buf);
	CHECK_INT(buf[size], 0xee);
	CHECK_INT(parse(&b, buf, size), size);
	CHECK_INT(b.num_notes, 3);
	for (size_t i = 0; i < 3 && i < b.num_notes; i++) {
		CHECK_STR(b.notes[i].name, a.notes[i].name);
		CHECK_INT(b.notes[i].type, a.notes[i].type);
		CHECK_INT(b.notes[i].size, a.notes[i].size);
		CHECK(!memcmp(b.notes[i].desc, a.notes[i].desc, a.notes[i].size));
	}
	CHECK_OK(image_seal(&b));
	CHECK_INT(b.vmcoreinfo_size, 8);
	CHECK(!memcmp(buf + image_note_off(&b, image_note(&b, "VMCOREINFO")), "A=1\n", 4));
	CHECK(!image_note(&b, "ERASEINFO"));
	image_deinit(&a);
	image_deinit(&b);
}

/* Each NT_PRSTATUS begins the next CPU; QEMU's notes are in the same order. */
static void test_numbering(void)
{
	static const struct {
		const char *name;
		uint32_t type;
		int32_t cpu;
	} notes[] = {
		{ "CORE", 2, -1 }, { "CORE", NT_PRSTATUS, 0 }, { "LINUX", 0x202, 0 },
		{ "CORE", NT_PRSTATUS, 1 }, { "CORE", 2, 1 }, { "OTHER", NT_PRSTATUS, -1 },
		{ "QEMU", 0, 0 }, { "QEMU", 0, 1 }, { "VMCOREINFO", 0, -1 },
	};
	struct image image = { .machine = EM_X86_64, .is64 = true };

	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
		CHECK_OK(image_add_note(&image, notes[i].name, notes[i].type, "text", 4));
	CHECK_OK(image_seal(&image));
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
		CHECK_INT(image.notes[i].cpu, notes[i].cpu);
	CHECK_INT(image.num_cpus, 2);
	CHECK_INT(image.vmcoreinfo_size, 4);
	image_deinit(&image);
}

static void test_seal_facts(void)
{
	static const char text[] = "OSRELEASE=6.1.0-test\nPAGESIZE=16384\nNUMBER(phys_base)=-4096\n";
	struct image image = { .machine = EM_X86_64, .is64 = true, .phys_base = 77 };
	struct image odd = { .machine = 0xfffe };

	CHECK_OK(image_add_note(&image, "VMCOREINFO", 0, text, sizeof(text) - 1));
	CHECK_OK(image_seal(&image));
	CHECK_STR(image.release, "6.1.0-test");
	CHECK_INT(image.page_size, 16384);
	CHECK_INT(image.phys_base, -4096);
	CHECK_STR(image.arch->name, "x86_64");
	image_deinit(&image);
	CHECK_OK(image_seal(&odd));
	CHECK_STR(odd.arch->name, "unknown");
	CHECK_INT(odd.page_size, 4096);
	image_deinit(&odd);
}

/* Some files do not tell the machine; the kernel in them does. */
static void test_machine(void)
{
	static const struct {
		const char *text;
		uint16_t machine, wanted;
	} cases[] = {
		{ "NUMBER(pgtable_l5_enabled)=0\nNUMBER(phys_base)=4096\n", EM_NONE, EM_X86_64 },
		{ "NUMBER(kimage_voffset)=0xffff000000000000\n", EM_NONE, EM_AARCH64 },
		{ "SYMBOL(mmu_psize_defs)=c0\n", EM_NONE, EM_PPC64 },
		{ "NUMBER(va_kernel_pa_offset)=0x1\n", EM_NONE, EM_RISCV },
		{ "CONFIG_X86_PAE=y\n", EM_NONE, EM_386 },
		{ "SYMBOL(lowcore_ptr)=1298208\n", EM_NONE, EM_S390 },
		{ "PAGESIZE=4096\n", EM_NONE, EM_NONE },
		{ "NUMBER(pgtable_l5_enabled)=0\n", EM_386, EM_386 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct image image = { .machine = cases[i].machine };

		CHECK_OK(image_add_note(&image, "VMCOREINFO", 0, cases[i].text,
					strlen(cases[i].text)));
		CHECK_OK(image_seal(&image));
		CHECK_INT(image.machine, cases[i].wanted);
		CHECK_INT(image.arch->machine, cases[i].wanted);
		CHECK_INT(image.is64, cases[i].wanted && cases[i].wanted != EM_386);
		image_deinit(&image);
	}
}

/* Page sizes that no kernel has are not believed. */
static void test_bad_page_size(void)
{
	static const char *const lines[] = {
		"PAGESIZE=0\n", "PAGESIZE=1\n", "PAGESIZE=2048\n", "PAGESIZE=5000\n",
		"PAGESIZE=524288\n", "PAGESIZE=-4096\n", "PAGESIZE=x\n", "PAGESIZE=\n", "PAGESIZE",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct image image = { .machine = EM_AARCH64 };

		CHECK_OK(image_add_note(&image, "VMCOREINFO", 0, lines[i], strlen(lines[i])));
		CHECK_OK(image_seal(&image));
		CHECK_INT(image.page_size, 4096);
		image_deinit(&image);
	}
}

int main(void)
{
	test_ranges_merge();
	test_ranges_top();
	test_too_much();
	test_range_at();
	test_clip();
	test_firmware();
	test_notes_broken();
	test_notes_random();
	test_notes_again();
	test_numbering();
	test_seal_facts();
	test_machine();
	test_bad_page_size();
	return check_done();
}
