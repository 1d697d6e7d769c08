/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "fake_kernel.h"

#include "arch/arch.h"
#include "machine/walker.h"

enum { MEMORY = 1 << 20 };

static const char info_4[] = "PAGESIZE=4096\nNUMBER(phys_base)=0\n"
	"SYMBOL(swapper_pg_dir)=ffffffff80001000\nNUMBER(pgtable_l5_enabled)=0\n";
static const char info_5[] = "PAGESIZE=4096\nNUMBER(phys_base)=-4096\n"
	"SYMBOL(swapper_pg_dir)=ffffffff80002000\nNUMBER(pgtable_l5_enabled)=1\n"
	"NUMBER(sme_mask)=0x800000000000\n";
static const char info_riscv[] = "PAGESIZE=4096\nNUMBER(VA_BITS)=39\n"
	"NUMBER(va_kernel_pa_offset)=0xffffffff00000000\nSYMBOL(swapper_pg_dir)=ffffffff00001000\n";
static const char info_arm[] = "PAGESIZE=4096\nNUMBER(VA_BITS)=52\nNUMBER(TCR_EL1_T1SZ)=0x10\n"
	"NUMBER(kimage_voffset)=0xffff800000000000\nSYMBOL(swapper_pg_dir)=ffff800000001000\n";

static const char info_power[] = "PAGESIZE=65536\nSYMBOL(swapper_pg_dir)=c000000000001000\n"
	"SYMBOL(_stext)=c000000000000000\nSYMBOL(vmemmap_list)=c000000000003000\n"
	"SYMBOL(mmu_vmemmap_psize)=c000000000003008\nSYMBOL(mmu_psize_defs)=c000000000004000\n"
	"SIZE(mmu_psize_def)=48\nOFFSET(mmu_psize_def.shift)=8\nOFFSET(vmemmap_backing.list)=0\n"
	"OFFSET(vmemmap_backing.phys)=8\nOFFSET(vmemmap_backing.virt_addr)=16\n";

static void check_at(struct walker *w, uint64_t vaddr, uint64_t paddr, uint64_t len)
{
	uint64_t got = 0, left = 0;

	CHECK(walker_translate(w, vaddr, &got, &left));
	CHECK_INT(got, paddr);
	CHECK_INT(left, len);
}

static void check_none(struct walker *w, uint64_t vaddr)
{
	uint64_t got, left;

	CHECK(!walker_translate(w, vaddr, &got, &left));
}

static struct fake *begin(uint16_t machine, const char *info, struct paging *p, struct walker *w)
{
	struct fake *f = fake_create(machine, MEMORY, info);

	CHECK_OK(paging_of_kernel(&f->source, p));
	walker_init(w, p, &f->source);
	return f;
}

static void end(struct fake *f, struct walker *w)
{
	walker_deinit(w);
	source_close(&f->source);
}

/* The guest says how much is to be read: no more than it can have */
static void test_read_new(void)
{
	struct paging p;
	struct walker w;
	struct fake *f = begin(EM_X86_64, info_4, &p, &w);
	const uint64_t kernel = 0xffffffff80000000;
	unsigned char *buf = NULL;

	set(f, 0x1000, 511, 0x2001);
	set(f, 0x2000, 510, 0x3001);
	set(f, 0x3000, 0, 0x81);
	memset(f->memory + 0x8000, 'x', 16);
	CHECK_OK(walker_read_new(&w, kernel + 0x8004, 4, &buf));
	CHECK_STR((char *)buf, "xxxx");
	free(buf);
	CHECK_OK(walker_read_new(&w, kernel, MEMORY, &buf));
	free(buf);
	buf = NULL;
	CHECK_ERR(walker_read_new(&w, kernel, MEMORY + 1, &buf), GDUMP_ERR_CORRUPT,
		  "1048577 bytes at virtual address 0xffffffff80000000 are more than the guest's memory");
	CHECK_ERR(walker_read_new(&w, kernel, UINT64_MAX, &buf), GDUMP_ERR_CORRUPT, "memory");
	CHECK_ERR(walker_read_new(&w, 0x1000, 8, &buf), GDUMP_ERR_NODATA, "not mapped");
	CHECK(!buf);
	/* what is not wanted can be read as well */
	CHECK_OK(image_clip(&f->source.image, 0, 4096));
	CHECK_OK(walker_read_new(&w, kernel, MEMORY, &buf));
	free(buf);
	end(f, &w);
}

static void test_4_levels(void)
{
	struct paging p;
	struct walker w;
	struct fake *f = begin(EM_X86_64, info_4, &p, &w);
	unsigned char buf[8192];

	set(f, 0x1000, 511, 0x2001);
	set(f, 0x1000, 300, 0x80000001);        /* a table outside of memory */
	set(f, 0x1000, 301, 0x7ffffffffffff001);
	set(f, 0x1000, 302, 0x2081);            /* no page is that large */
	set(f, 0x2000, 510, 0x3001);
	set(f, 0x2000, 511, 0x40000081);        /* 1 GiB */
	set(f, 0x3000, 0, 0x8000000000001083);  /* 2 MiB; bit 12 is no address */
	set(f, 0x3000, 1, 0x4001);
	set(f, 0x4000, 0, 0x10001);
	set(f, 0x4000, 1, 0x20001);
	set(f, 0x4000, 3, 0xff000001);
	check_at(&w, 0xffffffff80001234, 0x1234, 0x200000 - 0x1234);
	check_at(&w, 0xffffffff80200ff0, 0x10ff0, 16);
	check_at(&w, 0xffffffffc0000000, 0x40000000, 0x40000000);
	check_none(&w, 0xffffffff80202000);
	check_none(&w, 0xffffffff80400000);
	check_none(&w, (uint64_t)0xffff << 48 | (uint64_t)300 << 39);
	check_none(&w, (uint64_t)0xffff << 48 | (uint64_t)301 << 39);
	check_none(&w, (uint64_t)0xffff << 48 | (uint64_t)302 << 39);
	check_none(&w, 0);
	f->memory[0x10fff] = 'a';
	f->memory[0x20000] = 'b';
	CHECK_OK(walker_read(&w, 0xffffffff80200fff, buf, 2));
	CHECK(buf[0] == 'a' && buf[1] == 'b');
	CHECK_ERR(walker_read(&w, 0xffffffff80201000, buf, 4097), GDUMP_ERR_NODATA, "80202000");
	CHECK_ERR(walker_read(&w, 0xffffffff80203000, buf, 1), GDUMP_ERR_NODATA, "in no range");
	CHECK_ERR(walker_read(&w, UINT64_MAX, buf, 2), GDUMP_ERR_NODATA, "");
	CHECK_OK(walker_read(&w, 5, buf, 0));
	end(f, &w);
}

static void test_5_levels(void)
{
	struct paging p;
	struct walker w;
	struct fake *f = begin(EM_X86_64, info_5, &p, &w);

	CHECK_INT(p.root, 0x1000);
	set(f, 0x1000, 511, 0x800000002001);    /* with the bit of encrypted memory */
	set(f, 0x2000, 511, 0x3001);
	set(f, 0x3000, 510, 0x4001);
	set(f, 0x4000, 1, 0x800000200081);
	check_at(&w, 0xffffffff80200010, 0x200010, 0x200000 - 0x10);
	check_none(&w, 0xffffffff80000000);
	end(f, &w);
}

static void test_riscv(void)
{
	struct paging p;
	struct walker w;
	struct fake *f = begin(EM_RISCV, info_riscv, &p, &w);

	set(f, 0x1000, 508, 0x2 << 10 | 1);
	set(f, 0x1000, 509, (uint64_t)0x40000 << 10 | 0xf);
	set(f, 0x2000, 0, 0x3 << 10 | 1);
	set(f, 0x2000, 1, 0x80000000000000cf | (uint64_t)0x200 << 10);
	set(f, 0x3000, 0, 0x10 << 10 | 7);
	set(f, 0x3000, 1, 0x10 << 10 | 1);      /* a table behind the last level */
	check_at(&w, 0xffffffff00000008, 0x10008, 4096 - 8);
	check_at(&w, 0xffffffff00200000, 0x200000, 0x200000);
	check_at(&w, 0xffffffff40000000, 0x40000000, 0x40000000);
	check_none(&w, 0xffffffff00001000);
	check_none(&w, 0xffffffff80000000);
	end(f, &w);
}

static void test_arm(void)
{
	struct paging p;
	struct walker w;
	struct fake *f = begin(EM_AARCH64, info_arm, &p, &w);

	CHECK_INT(p.levels, 4);                 /* what is in use, not what could be */
	set(f, 0x1000, 256, 0x2003);
	set(f, 0x2000, 0, 0x3003);
	set(f, 0x2000, 1, 0x40000001);
	set(f, 0x3000, 0, 0x4003);
	set(f, 0x4000, 0, 0x0060000000010703);
	set(f, 0x4000, 1, 0x10001);             /* no block there */
	check_at(&w, 0xffff800000000000, 0x10000, 4096);
	check_at(&w, 0xffff800040000000, 0x40000000, 0x40000000);
	check_none(&w, 0xffff800000001000);
	check_none(&w, 0xffff800000002000);
	end(f, &w);
}

/* All entries lead to the top table. */
static void test_circle(void)
{
	struct paging p;
	struct walker w;
	struct fake *f = begin(EM_X86_64, info_4, &p, &w);

	for (unsigned int i = 0; i < 512; i++)
		set(f, 0x1000, i, 0x1001);
	check_at(&w, 0, 0x1000, 4096);
	check_at(&w, 0xffffffffffffffff, 0x1fff, 1);
	end(f, &w);
}

/* POWER with the hash MMU: memory as it is, and a list of what is elsewhere */
static void test_hash(void)
{
	struct fake *f = fake_create(EM_PPC64, MEMORY, info_power);
	struct paging p;
	struct walker w;

	put(f, 0x3000, 0xc000000000005000, 8);
	put(f, 0x3008, 2, 4);
	put(f, 0x4000 + 2 * 48 + 8, 16, 4);
	set(f, 0x5000, 0, 0xc000000000006000);
	set(f, 0x5000, 1, 0x70000);
	set(f, 0x5000, 2, 0xc00c000000010000);
	set(f, 0x6000, 1, 0x30000);
	set(f, 0x6000, 2, 0xc00c000000000000);
	CHECK_OK(paging_of_kernel(&f->source, &p));
	walker_init(&w, &p, &f->source);
	check_at(&w, 0xc000000000012345, 0x12345, MEMORY - 0x12345);
	check_at(&w, 0xc00c000000001000, 0x31000, 0xf000);
	check_at(&w, 0xc00c000000010000, 0x70000, 0x10000);
	check_none(&w, 0xc00c000000020000);
	check_none(&w, 0xc000000000000000 + MEMORY);
	check_none(&w, 0x12345);
	walker_deinit(&w);
	paging_deinit(&p);

	set(f, 0x6000, 0, 0xc000000000005000);  /* in a circle */
	CHECK_ERR(paging_of_kernel(&f->source, &p), GDUMP_ERR_UNSUPPORTED, "page tables");
	set(f, 0x6000, 0, 0xc000000080000000);  /* outside of memory */
	CHECK_ERR(paging_of_kernel(&f->source, &p), GDUMP_ERR_UNSUPPORTED, "page tables");
	source_close(&f->source);
}

static void test_unknown(void)
{
	struct fake *f = fake_create(EM_X86_64, MEMORY, "PAGESIZE=4096\n");
	struct fake *arm = fake_create(EM_AARCH64, MEMORY,
				       "NUMBER(VA_BITS)=99\nNUMBER(kimage_voffset)=0\n"
				       "SYMBOL(swapper_pg_dir)=0\n");
	struct fake *mips = fake_create(EM_MIPS, MEMORY, "PAGESIZE=4096\n");
	struct fake *outside = fake_create(EM_X86_64, MEMORY,
					   "SYMBOL(swapper_pg_dir)=ffffffff90000000\n"
					   "NUMBER(phys_base)=0\n");
	struct paging p;

	CHECK_ERR(paging_of_kernel(&f->source, &p), GDUMP_ERR_UNSUPPORTED,
		  "VMCOREINFO does not contain the address");
	CHECK_ERR(paging_of_kernel(&arm->source, &p), GDUMP_ERR_UNSUPPORTED,
		  "VMCOREINFO does not contain the address");
	CHECK_ERR(paging_of_kernel(&mips->source, &p), GDUMP_ERR_UNSUPPORTED, "not supported");
	CHECK_ERR(paging_of_kernel(&outside->source, &p), GDUMP_ERR_NODATA,
		  "cannot read the kernel's page tables: address");
	outside->source.image.vmcoreinfo = NULL;
	CHECK_ERR(paging_of_kernel(&outside->source, &p), GDUMP_ERR_UNSUPPORTED,
		  "there is no VMCOREINFO");
	source_close(&f->source);
	source_close(&arm->source);
	source_close(&mips->source);
	source_close(&outside->source);
}

static void test_mutations(uint16_t machine, const char *info)
{
	static unsigned char buf[65536];
	uint64_t seed = machine;

	for (unsigned int i = 0; i < 300; i++) {
		struct fake *f = fake_create(machine, MEMORY, info);
		struct paging p;
		struct walker w;

		for (uint64_t at = 0; at < 0x10000; at += 8)
			put(f, at, (random_below(&seed, 0x20000) & 0x1f000) >> (machine == EM_RISCV ? 2 : 0) |
			    (machine == EM_AARCH64 ? 3 : 1), 8);
		fake_mutate(f, &seed, 0, 0x10000, false);
		if (i % 2)
			fake_mutate(f, &seed, 0, 0, true);
		CLEANUP_ERROR struct gdump_error *why = paging_of_kernel(&f->source, &p);

		if (!why) {
			walker_init(&w, &p, &f->source);
			for (unsigned int n = 0; n < 50; n++)
				gdump_error_destroy(walker_read(&w, random_next(&seed), buf,
								(size_t)random_below(&seed, sizeof(buf))));
			walker_deinit(&w);
			paging_deinit(&p);
		}
		source_close(&f->source);
	}
}

int main(void)
{
	test_read_new();
	test_4_levels();
	test_5_levels();
	test_riscv();
	test_arm();
	test_circle();
	test_hash();
	test_unknown();
	test_mutations(EM_X86_64, info_4);
	test_mutations(EM_X86_64, info_5);
	test_mutations(EM_RISCV, info_riscv);
	test_mutations(EM_AARCH64, info_arm);
	return check_done();
}
