/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_mtree.c FIXTURES - QEMU's memory map, as real machines print it
 */
#include <stdlib.h>

#include "check.h"
#include "live/mtree.h"

static int warnings;
static char last_warning[400];

static void count_warning(void *arg, const char *message)
{
	(void)arg;
	warnings++;
	snprintf(last_warning, sizeof(last_warning), "%s", message);
}

static const struct gdump_open_options options = { .warn = count_warning };

static char *fixture(const char *dir, const char *name)
{
	char path[512];
	char *text = calloc(1, 65536);
	size_t len = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/mtree/%s.txt", dir, name);
	f = fopen(path, "r");
	CHECK(f && text);
	if (f && text)
		len = fread(text, 1, 65535, f);
	CHECK(len > 0);
	if (f)
		fclose(f);
	return text;
}

struct expected {
	uint64_t start, end;            /* end: the last byte, as QEMU has it   */
	const char *name;
	bool ram;
};

static void check_text(const char *text, const struct expected *e, size_t num)
{
	struct mtree m = { 0 };
	CLEANUP_ERROR struct gdump_error *err = mtree_parse(text, &options, &m);

	CHECK(!err);
	CHECK_INT(m.num_ranges, num);
	for (size_t i = 0; i < m.num_ranges && i < num; i++) {
		CHECK_INT(m.ranges[i].start, e[i].start);
		CHECK_INT(m.ranges[i].size, e[i].end - e[i].start + 1);
		CHECK_STR(m.ranges[i].name, e[i].name);
		CHECK_INT(m.ranges[i].ram, e[i].ram);
	}
	mtree_deinit(&m);
}

static void check_machine(const char *dir, const char *name, const struct expected *e, size_t num)
{
	char *text = fixture(dir, name);

	warnings = 0;
	check_text(text, e, num);
	CHECK_INT(warnings, 0);
	free(text);
}
#define CHECK_MACHINE(dir, name, ...) do {                                    \
	static const struct expected e[] = { __VA_ARGS__ };                   \
	check_machine(dir, name, e, sizeof(e) / sizeof(*e));                  \
} while (0)

static void test_machines(const char *dir)
{
	CHECK_MACHINE(dir, "pc-split",
		      { 0, 0xc2fff, "pc.ram", true },
		      { 0xc3000, 0xe7fff, "pc.ram", false },
		      { 0xe8000, 0xeffff, "pc.ram", true },
		      { 0xf0000, 0xfffff, "pc.ram", false },
		      { 0x100000, 0x1fffffff, "pc.ram", true },
		      { 0xfffc0000, 0xffffffff, "pc.bios", false },
		      { 0x100000000, 0x11fffffff, "pc.ram", true });
	CHECK_MACHINE(dir, "q35-vga",
		      { 0, 0x9ffff, "pc.ram", true },
		      { 0xc0000, 0xcafff, "pc.ram", false },
		      { 0xcb000, 0xcdfff, "pc.ram", true },
		      { 0xce000, 0xe7fff, "pc.ram", false },
		      { 0xe8000, 0xeffff, "pc.ram", true },
		      { 0xf0000, 0xfffff, "pc.ram", false },
		      { 0x100000, 0x7fffffff, "pc.ram", true },
		      { 0xfd000000, 0xfdffffff, "vga.vram", true },
		      { 0xfffc0000, 0xffffffff, "pc.bios", false },
		      { 0x100000000, 0x13fffffff, "pc.ram", true });
	CHECK_MACHINE(dir, "aarch64", { 0x40000000, 0x5fffffff, "mach-virt.ram", true });
	CHECK_MACHINE(dir, "s390x", { 0, 0x1fffffff, "s390.ram", true });
	CHECK_MACHINE(dir, "riscv64",
		      { 0x1000, 0xffff, "riscv_virt_board.mrom", false },
		      { 0x80000000, 0x9fffffff, "riscv_virt_board.ram", true });
	CHECK_MACHINE(dir, "virtio-mem",
		      { 0, 0xc2fff, "pc.ram", true },
		      { 0xc3000, 0xe7fff, "pc.ram", false },
		      { 0xe8000, 0xeffff, "pc.ram", true },
		      { 0xf0000, 0xfffff, "pc.ram", false },
		      { 0x100000, 0x1fffffff, "pc.ram", true },
		      { 0xfffc0000, 0xffffffff, "pc.bios", false },
		      { 0x100000000, 0x13fffffff, "vm0", true });
}

#define BLOCK "FlatView #0\r\n AS \"memory\", root: system\r\n Root memory region: system\r\n"
#define R(start, end, kind, name) "  " start "-" end " (prio 0, " kind "): " name "\r\n"
#define A0 "0000000000000000"
#define A1 "0000000000000fff"
#define A2 "0000000000001000"
#define A3 "0000000000001fff"
#define AMAX "ffffffffffffffff"

static void test_lines(void)
{
	static const struct expected one[] = { { 0, 0xfff, "my ram", true } };
	static const struct expected two[] = {
		{ 0, 0xfff, "a", true }, { 0x1000, 0x1fff, "b", false },
	};
	static const struct expected high[] = { { 0x1000, UINT64_MAX, "high", true } };

	check_text(BLOCK R(A0, A1, "ram", "my ram"), one, 1);
	check_text(BLOCK R(A0, A1, "ram", "my ram KVM"), one, 1);
	check_text(BLOCK R(A0, A1, "ram", "my ram @0000000000000400 KVM"), one, 1);
	check_text(BLOCK R(A0, A1, "nv-ram", "my ram @0000000000000400"), one, 1);
	check_text(BLOCK R(A0, A1, "ram", "my ram") R(A2, A3, "romd", "x") R(A2, A3, "ramd", "y"),
		   one, 1);
	check_text(BLOCK "  " A0 "-" A1 " (prio -5, ram): my ram\r\n", one, 1);
	check_text(BLOCK R(A0, A1, "ram", "a") R(A2, A3, "rom", "b"), two, 2);
	check_text(BLOCK R(A2, AMAX, "ram", "high"), high, 1);
	/* other blocks are not ours, whatever they look like */
	check_text("FlatView #7\n nonsense\n\n" BLOCK R(A0, A1, "ram", "my ram")
		   "\r\nFlatView #8\r\n nonsense\r\n", one, 1);
}

static void test_unknown_kind(void)
{
	static const struct expected one[] = { { 0x1000, 0x1fff, "b", true } };

	warnings = 0;
	check_text(BLOCK R(A0, A1, "quantum", "q0") R(A2, A3, "ram", "b"), one, 1);
	CHECK_INT(warnings, 1);
	CHECK(strstr(last_warning, "(prio 0, quantum): q0\""));
}

/* What makes no sense is refused, with the line in the message. */
static void test_malformed(void)
{
	static const char *const bad[] = {
		R("0", A1, "ram", "bad"),
		R(A2, A1, "ram", "bad"),
		R(A0, "00000000000000FFF", "ram", "bad"),
		"  " A0 "-" A1 " (prio x, ram): bad\r\n",
		"  " A0 "-" A1 " (prio 0, ram: bad\r\n",
		"  " A0 "-" A1 " bad\r\n",
		"bad\r\n",
		" AS bad\r\n",
		R(A0, A2, "ram", "good") R(A2, A3, "ram", "bad"),
		R(A2, A3, "ram", "good") R(A0, A1, "ram", "bad"),
		R(A0, AMAX, "ram", "bad"),
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char text[1000];
		struct mtree m;
		CLEANUP_ERROR struct gdump_error *err = NULL;

		snprintf(text, sizeof(text), "%s%s", BLOCK, bad[i]);
		err = mtree_parse(text, &options, &m);
		CHECK(err && gdump_error_code(err) == GDUMP_ERR_REMOTE);
		CHECK(err && strstr(gdump_error_message(err), "bad\""));
	}
}

static void test_nothing(void)
{
	static const char *const empty[] = {
		"", "unknown command: 'info'\r\n", "FlatView #0\n AS \"memory-2\", root: x\n",
		BLOCK, BLOCK R(A0, A1, "i/o", "x"),
	};

	for (size_t i = 0; i < sizeof(empty) / sizeof(*empty); i++) {
		struct mtree m;
		CLEANUP_ERROR struct gdump_error *err = mtree_parse(empty[i], &options, &m);

		CHECK(err && gdump_error_code(err) == GDUMP_ERR_REMOTE);
	}
}

int main(int argc, char **argv)
{
	test_machines(argc > 1 ? argv[1] : "tests/fixtures");
	test_lines();
	test_unknown_kind();
	test_malformed();
	test_nothing();
	return check_done();
}
