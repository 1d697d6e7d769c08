/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <elf.h>

#include "../machine/image.h"
#include "../machine/walker.h"
#include "../machine/vmcoreinfo.h"
#include "../util/bits.h"
#include "arch.h"

#define X(n) { "x" #n, 112 + 8 * n, 8 }
static const struct reg regs[] = {
	X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10), X(11), X(12), X(13),
	X(14), X(15), X(16), X(17), X(18), X(19), X(20), X(21), X(22), X(23), X(24), X(25),
	X(26), X(27), X(28), X(29), X(30), { "sp", 360, 8, true }, { "pc", 368, 8, true },
	{ "pstate", 376, 8 }, { 0 },
};
#undef X

#define V(n) { "v" #n, 16 * n, 16 }
static const struct reg fp[] = {
	REGS_32(V), { "fpsr", 512, 4 }, { "fpcr", 516, 4 }, { 0 },
};
#undef V

/* The header only; the size of the vectors is in it. */
static const struct reg sve[] = {
	{ "sve_size", 0, 4 }, { "sve_max_size", 4, 4 }, { "sve_vl", 8, 2 },
	{ "sve_max_vl", 10, 2 }, { "sve_flags", 12, 2 }, { 0 },
};

static const struct reg_set sets[] = {
	{ "float", "CORE", NT_FPREGSET, fp },
	{ "sve", "LINUX", NT_ARM_SVE, sve },
	{ 0 },
};

/* PHYS_OFFSET is memstart_addr, a 64-bit pattern that wraps with KASLR. */
static uint64_t aarch64_phys_base(const struct image *image)
{
	uint64_t base = image->phys_base;

	if (!vmcoreinfo_number(image, "PHYS_OFFSET", &base) && image->num_ranges)
		base = image->ranges[0].start;
	return base;
}

static bool aarch64_image_paddr(const struct image *image, uint64_t vaddr, uint64_t *paddr)
{
	uint64_t offset;

	if (!vmcoreinfo_number(image, "kimage_voffset", &offset))
		return false;
	*paddr = vaddr - offset;
	return true;
}

/* Bits 1:0: 3 is a table, or a page at the last level; 1 is a block at other levels.  If
 * addresses have more than 48 bits, the high ones are in low bits of the entry: with 64 KiB
 * pages bits 15:12 are 51:48, otherwise (LPA2) bits 9:8 are 51:50.
 */
static enum entry_kind aarch64_entry(const struct paging *p, unsigned int level, uint64_t entry,
				     uint64_t *paddr)
{
	const unsigned int below = p->levels - 1 - level, shift = p->shift[p->levels - 1];
	const uint64_t low = ((uint64_t)1 << shift) - 1;

	*paddr = entry & 0x0000ffffffffffff & ~low;
	if (shift == 16)
		*paddr |= (entry >> 12 & 0xf) << 48;
	else if (p->mask)
		*paddr |= (entry & 0x0003000000000000) | (entry >> 8 & 3) << 50;
	switch (entry & 3) {
	case 3:
		return below ? ENTRY_TABLE : ENTRY_PAGE;
	case 1:
		return below ? ENTRY_PAGE : ENTRY_NONE;
	default:
		return ENTRY_NONE;
	}
}

/* The width of the addresses that the tables translate: with 64 KiB pages the configured
 * one, otherwise the one in use.
 */
static uint64_t aarch64_va_width(const struct image *image)
{
	uint64_t va_bits = 0, t1sz;

	vmcoreinfo_number(image, "VA_BITS", &va_bits);
	if (image->page_size != 65536 && (vmcoreinfo_number(image, "TCR_EL1_T1SZ", &t1sz) ||
					  vmcoreinfo_number(image, "tcr_el1_t1sz", &t1sz)))
		va_bits = 64 - t1sz;
	return va_bits;
}

static bool aarch64_paging(struct source *s, struct paging *ret)
{
	const struct image *image = &s->image;
	const unsigned int page_shift = log2_u64(image->page_size), bits = page_shift - 3;
	const uint64_t width = aarch64_va_width(image);
	uint64_t root;

	if (!vmcoreinfo_symbol(image, "swapper_pg_dir", &root) ||
	    !aarch64_image_paddr(image, root, &ret->root) || width < 32 || width > 52)
		return false;
	ret->levels = (unsigned int)div_up(width - page_shift, bits);
	ret->mask = width == 52;
	ret->entry = aarch64_entry;
	ret->high = ~(uint64_t)0 << width;      /* TTBR1's half */
	for (unsigned int i = 0; i < ret->levels; i++) {
		ret->shift[i] = (uint8_t)(page_shift + bits * (ret->levels - 1 - i));
		ret->bits[i] = (uint8_t)(i ? bits : width - ret->shift[0]);
	}
	return true;
}

const struct arch arch_aarch64 = {
	.name = "aarch64",
	.machine = EM_AARCH64,
	.is64 = true,
	.page_size = 4096,
	.kernel_key = "NUMBER(kimage_voffset)",
	.prstatus_size = 392,
	.section_bits = 30,
	.regs = regs,
	.sets = sets,
	.phys_base = aarch64_phys_base,
	.image_paddr = aarch64_image_paddr,
	.paging = aarch64_paging,
};
