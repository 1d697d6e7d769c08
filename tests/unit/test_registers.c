/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include <elf.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "dump.h"
#include "util/cursor.h"

/* A machine with notes, as gdump_register_at() sees it. */
struct fake {
	struct source source;
	struct gdump g;
};

static void fake_init(struct fake *f, uint16_t machine, bool big)
{
	memset(f, 0, sizeof(*f));
	f->g.source = &f->source;
	f->source.image = (struct image){ .machine = machine, .big = big, .is64 = true };
}

static void add_note(struct fake *f, const char *owner, uint32_t type, const void *desc, size_t size)
{
	CHECK_OK(image_add_note(&f->source.image, owner, type, desc, size));
}

static void seal(struct fake *f)
{
	CHECK_OK(image_seal(&f->source.image));
}

static bool find(const struct fake *f, size_t cpu, const char *name, struct gdump_register *ret)
{
	for (size_t i = 0; gdump_register_at(&f->g, cpu, i, ret); i++) {
		if (!strcmp(ret->name, name))
			return true;
	}
	return false;
}

static size_t count(const struct fake *f, size_t cpu)
{
	struct gdump_register r;
	size_t n = 0;

	while (gdump_register_at(&f->g, cpu, n, &r))
		n++;
	return n;
}

/* Where each architecture has its program counter and stack pointer. */
static void test_keys(void)
{
	const struct arch *arch;

	for (size_t i = 0; (arch = arch_at(i)); i++) {
		unsigned char *desc = calloc(1, arch->prstatus_size);
		struct gdump_register r;
		struct fake f;
		int keys = 0;

		fake_init(&f, arch->machine, false);
		add_note(&f, "CORE", NT_PRSTATUS, desc, arch->prstatus_size);
		seal(&f);
		CHECK(count(&f, 0) > 16);
		CHECK_INT(count(&f, 1), 0);
		for (size_t k = 0; gdump_register_at(&f.g, 0, k, &r); k++) {
			keys += r.key;
			CHECK_STR(r.set, "general");
			CHECK_INT(r.size, k && arch != &arch_s390x ? arch->is64 ? 8 : 4 : r.size);
		}
		CHECK_INT(keys, 2);
		image_deinit(&f.source.image);
		free(desc);
	}
}

static void test_sets(void)
{
	unsigned char prstatus[336] = { 0 }, qemu[440] = { 0 };
	struct cursor c = cursor_init(qemu, sizeof(qemu), false, true);
	struct gdump_register r;
	struct fake f;

	cursor_take(&c, 392 + 24);
	put_u64(&c, 0x123456789abc);    /* cr3 */
	fake_init(&f, EM_X86_64, false);
	add_note(&f, "CORE", NT_PRSTATUS, prstatus, sizeof(prstatus));
	add_note(&f, "CORE", NT_PRSTATUS, prstatus, sizeof(prstatus));
	add_note(&f, "QEMU", 0, qemu, sizeof(qemu));
	add_note(&f, "QEMU", 0, qemu, 432);     /* before 2018 */
	add_note(&f, "QEMU", 0, qemu, 100);     /* a CPU of which nothing else is known */
	seal(&f);
	CHECK(find(&f, 0, "cr3", &r) && r.value == 0x123456789abc && !r.high && r.size == 8);
	CHECK_STR(r.set, "control");
	CHECK(find(&f, 0, "kgs_base", &r));
	CHECK(find(&f, 1, "cr3", &r) && find(&f, 1, "rip", &r) && r.key);
	CHECK(!find(&f, 1, "kgs_base", &r));
	CHECK_INT(count(&f, 1), count(&f, 0) - 1);
	CHECK_INT(count(&f, 2), 0);
	CHECK_INT(count(&f, 3), 0);
	CHECK_INT(count(&f, SIZE_MAX), 0);
	image_deinit(&f.source.image);
}

/* 16 bytes, in both byte orders */
static void test_wide(void)
{
	unsigned char fp[528] = { 0 };
	struct gdump_register r;
	struct fake f;

	for (unsigned char i = 0; i < 16; i++)
		fp[16 + i] = i;
	for (int big = 0; big < 2; big++) {
		fake_init(&f, EM_AARCH64, big);
		add_note(&f, "CORE", NT_PRSTATUS, fp, 392);
		add_note(&f, "CORE", NT_FPREGSET, fp, sizeof(fp));
		seal(&f);
		CHECK(find(&f, 0, "v1", &r) && r.size == 16);
		CHECK_STR(r.set, "float");
		CHECK_INT(r.value, big ? 0x08090a0b0c0d0e0f : 0x0706050403020100);
		CHECK_INT(r.high, big ? 0x0001020304050607 : 0x0f0e0d0c0b0a0908);
		CHECK(find(&f, 0, "fpcr", &r) && r.size == 4);
		image_deinit(&f.source.image);
	}
}

static void put_ppc64(unsigned char *prstatus, unsigned char *vmx, uint64_t msr)
{
	struct cursor c = cursor_init(prstatus, 504, true, true);

	cursor_take(&c, 32);
	put_u32(&c, 7);                 /* pid */
	c.p = prstatus + 368;
	put_u64(&c, 0xc000000000123450);
	put_u64(&c, msr);
	c = cursor_init(vmx, 544, true, true);
	put_u64(&c, 0x1111222233334444);
	put_u64(&c, 0x5555666677778888);
}

/* QEMU 7.2's dump of a little-endian pseries guest, labelled as big-endian */
static void test_wrong_order(void)
{
	static const struct {
		uint64_t msr[2];
		bool big;
	} cases[] = {
		{ { 0x800000000280b033, 0x800000000280b033 }, false },
		{ { 0x8000000002801032, 0x800000000280b033 }, false },  /* one in firmware */
		{ { 0x8000000002801032, 0x8000000002801032 }, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake f;
		struct gdump_register r;

		fake_init(&f, EM_PPC64, true);
		for (int cpu = 0; cpu < 2; cpu++) {
			unsigned char prstatus[504] = { 0 }, vmx[544] = { 0 };

			put_ppc64(prstatus, vmx, cases[i].msr[cpu]);
			add_note(&f, "CORE", NT_PRSTATUS, prstatus, sizeof(prstatus));
			add_note(&f, "CORE", NT_PPC_VMX, vmx, sizeof(vmx));
		}
		seal(&f);
		CHECK_INT(f.source.image.big, cases[i].big);
		CHECK_INT(f.source.image.warning[0] != 0, !cases[i].big);
		CHECK_STR(arch_uname(&f.source.image), cases[i].big ? "ppc64" : "ppc64le");
		CHECK(find(&f, 1, "nip", &r) && r.value == 0xc000000000123450);
		CHECK(find(&f, 1, "vr0", &r) && r.high == 0x1111222233334444 &&
		      r.value == 0x5555666677778888);
		CHECK_INT(((const unsigned char *)f.source.image.notes[0].desc)[cases[i].big ? 35 : 32],
			  7);
		image_deinit(&f.source.image);
	}
}

/* QEMU 7.2 forgets to turn the CPU number of s390x round, and has none for ppc64. */
static void test_pids(void)
{
	static const struct {
		const char *pids;       /* 8 bytes */
		const char *wanted;
	} cases[] = {
		{ "\1\0\0\0" "\2\0\0\0", "\0\0\0\1" "\0\0\0\2" },
		{ "\0\0\0\0" "\0\0\0\0", "\0\0\0\1" "\0\0\0\2" },
		{ "\0\0\0\1" "\0\0\0\2", "\0\0\0\1" "\0\0\0\2" },
		{ "\0\0\0\0" "\0\0\5\6", "\0\0\0\0" "\0\0\5\6" },     /* processes */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake f;

		fake_init(&f, EM_S390, true);
		for (int cpu = 0; cpu < 2; cpu++) {
			unsigned char prstatus[336] = { 0 };

			memcpy(prstatus + 32, cases[i].pids + 4 * cpu, 4);
			add_note(&f, "CORE", NT_PRSTATUS, prstatus, sizeof(prstatus));
		}
		seal(&f);
		for (int cpu = 0; cpu < 2; cpu++) {
			const unsigned char *desc = f.source.image.notes[cpu].desc;

			CHECK(!memcmp(desc + 32, cases[i].wanted + 4 * cpu, 4));
		}
		image_deinit(&f.source.image);
	}
}

int main(void)
{
	test_keys();
	test_sets();
	test_wide();
	test_wrong_order();
	test_pids();
	return check_done();
}
