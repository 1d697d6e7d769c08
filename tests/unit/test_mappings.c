/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include <elf.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "kernel/mappings.h"
#include "util/bits.h"
#include "util/cursor.h"

enum { MEMORY = 1 << 20 };

struct fake {
	struct source source;
	unsigned char memory[MEMORY];
};

static struct gdump_error *fake_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	memcpy(buf, ((struct fake *)s)->memory + paddr, len);
	return NULL;
}

static void fake_close(struct source *s)
{
	free(s);
}

static const struct source_ops fake_ops = { .name = "fake", .read = fake_read,
					    .close = fake_close };

/* A machine whose only CPU has these control registers. */
static struct fake *fake_create(uint16_t machine, uint64_t cr3, uint64_t cr4)
{
	struct fake *f = calloc(1, sizeof(*f));
	unsigned char qemu[440] = { 0 };
	struct cursor c = cursor_init(qemu, sizeof(qemu), false, true);

	c.p = qemu + 392;
	put_u64(&c, 0x80000001);
	c.p = qemu + 416;
	put_u64(&c, cr3);
	put_u64(&c, cr4);
	source_init(&f->source, &fake_ops);
	f->source.image.machine = machine;
	f->source.image.is64 = machine == EM_X86_64;
	CHECK_OK(image_add_range(&f->source.image, 0, MEMORY, GDUMP_RANGE_RAM));
	CHECK_OK(image_add_note(&f->source.image, "QEMU", 0, qemu, sizeof(qemu)));
	CHECK_OK(image_seal(&f->source.image));
	return f;
}

static void set(struct fake *f, uint64_t table, unsigned int i, uint64_t entry)
{
	struct cursor c = cursor_init(f->memory + table + 8 * i, 8, false, true);

	put_u64(&c, entry);
}

static void check_maps(struct fake *f, const char *wanted)
{
	struct mappings m = { 0 };
	char text[1024] = "";
	size_t len = 0;

	CHECK_OK(mappings_find(&f->source, &m));
	for (size_t i = 0; i < m.num && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%llx=%llx+%llx",
					i ? " " : "", (unsigned long long)m.maps[i].vaddr,
					(unsigned long long)m.maps[i].paddr,
					(unsigned long long)m.maps[i].size);
	CHECK_STR(text, wanted);
	mappings_deinit(&m);
	source_close(&f->source);
}

static void test_4_levels(void)
{
	struct fake *f = fake_create(EM_X86_64, 0x1000 | 0x18, 0x20);

	set(f, 0x1000, 0, 0x2001);
	set(f, 0x1000, 511, 0x2001);            /* the same table: told once */
	set(f, 0x1000, 256, 0x5001);            /* the upper half */
	set(f, 0x1000, 300, 0x80000001);        /* outside of memory */
	set(f, 0x1000, 301, 0x3000);            /* not present */
	set(f, 0x2000, 0, 0x3001);
	set(f, 0x2000, 1, 0x40000081);          /* 1 GiB */
	set(f, 0x3000, 0, 0x4001);
	set(f, 0x3000, 1, 0x200081);            /* 2 MiB */
	set(f, 0x4000, 0, 0x8000000000007001);  /* no-execute */
	set(f, 0x4000, 1, 0x8001);
	set(f, 0x4000, 3, 0x9001);
	set(f, 0x5000, 0, 0xc0000081);
	check_maps(f, "0=7000+2000 3000=9000+1000 200000=200000+200000 40000000=40000000+40000000 "
		      "ffff800000000000=c0000000+40000000");
}

static void test_5_levels(void)
{
	struct fake *f = fake_create(EM_X86_64, 0x1000, 0x1020);

	set(f, 0x1000, 511, 0x2001);
	set(f, 0x2000, 511, 0x3001);
	set(f, 0x3000, 511, 0x80000081);
	check_maps(f, "ffffffffc0000000=80000000+40000000");
}

static void test_32(void)
{
	struct fake *pae = fake_create(EM_386, 0x1020, 0x20), *old = fake_create(EM_386, 0x1000, 0);
	struct cursor c = cursor_init(old->memory + 0x1000, 8, false, true);

	set(pae, 0x1020, 3, 0x2001);
	set(pae, 0x2000, 0, 0x200081);
	set(pae, 0x2000, 1, 0x3001);
	set(pae, 0x3000, 0, 0x400001);
	check_maps(pae, "c0000000=200000+201000");
	put_u32(&c, 0x00c02081);                /* 4 MiB at 4 GiB + 12 MiB */
	put_u32(&c, 0x2001);
	c = cursor_init(old->memory + 0x2000 + 4 * 1023, 4, false, true);
	put_u32(&c, 0x5001);
	check_maps(old, "0=100c00000+400000 7ff000=5000+1000");
}

/* Tables that point to each other, all entries of each: this must end soon. */
static void test_circles(void)
{
	struct fake *f = fake_create(EM_X86_64, 0x1000, 0x20);
	struct mappings m;

	for (uint64_t t = 0; t < MEMORY; t += 4096) {
		for (unsigned int i = 0; i < 512; i++)
			set(f, t, i, (t + 4096ull * i) % MEMORY | 1);
	}
	CHECK_OK(mappings_find(&f->source, &m));
	CHECK(m.num <= 4u * 512 * (MEMORY / 4096));
	mappings_deinit(&m);
	source_close(&f->source);
}

static void test_none(void)
{
	struct fake *f = fake_create(EM_X86_64, 0x1000, 0x20);

	f->source.image.num_cpus_with_notes = 0;
	check_maps(f, "");
}

int main(void)
{
	test_4_levels();
	test_5_levels();
	test_32();
	test_circles();
	test_none();
	return check_done();
}
