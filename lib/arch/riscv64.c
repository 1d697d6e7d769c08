/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <elf.h>

#include "../machine/image.h"
#include "../machine/walker.h"
#include "../machine/vmcoreinfo.h"
#include "../util/bits.h"
#include "arch.h"

static const struct reg regs[] = {
	{ "pc", 112, 8, true }, { "ra", 120, 8 }, { "sp", 128, 8, true }, { "gp", 136, 8 },
	{ "tp", 144, 8 }, { "t0", 152, 8 }, { "t1", 160, 8 }, { "t2", 168, 8 },
	{ "s0", 176, 8 }, { "s1", 184, 8 }, { "a0", 192, 8 }, { "a1", 200, 8 },
	{ "a2", 208, 8 }, { "a3", 216, 8 }, { "a4", 224, 8 }, { "a5", 232, 8 },
	{ "a6", 240, 8 }, { "a7", 248, 8 }, { "s2", 256, 8 }, { "s3", 264, 8 },
	{ "s4", 272, 8 }, { "s5", 280, 8 }, { "s6", 288, 8 }, { "s7", 296, 8 },
	{ "s8", 304, 8 }, { "s9", 312, 8 }, { "s10", 320, 8 }, { "s11", 328, 8 },
	{ "t3", 336, 8 }, { "t4", 344, 8 }, { "t5", 352, 8 }, { "t6", 360, 8 }, { 0 },
};

/* The start of RAM, by which makedumpfile translates addresses of the linear map */
static uint64_t riscv64_phys_base(const struct image *image)
{
	uint64_t base = image->phys_base;

	vmcoreinfo_number(image, "phys_ram_base", &base);
	return base;
}

static bool riscv64_image_paddr(const struct image *image, uint64_t vaddr, uint64_t *paddr)
{
	uint64_t offset;

	if (!vmcoreinfo_number(image, "va_kernel_pa_offset", &offset))
		return false;
	*paddr = vaddr - offset;
	return true;
}

/* Bit 0: valid; bits 3:1 zero: a table, otherwise a page of that level's size; bits 53:10: the
 * page number.  (Linux sets bit 63, for ranges of 64 KiB, only in user and vmalloc mappings.)
 */
static enum entry_kind riscv64_entry(const struct paging *p, unsigned int level, uint64_t entry,
				     uint64_t *paddr)
{
	uint64_t pfn = entry >> 10 & (((uint64_t)1 << 44) - 1);

	if (!(entry & 1))
		return ENTRY_NONE;
	*paddr = pfn << 12;
	if (!(entry & 0xe))
		return level + 1 < p->levels ? ENTRY_TABLE : ENTRY_NONE;
	return ENTRY_PAGE;
}

static bool riscv64_paging(struct source *s, struct paging *ret)
{
	const struct image *image = &s->image;
	uint64_t root, va_bits;

	if (!vmcoreinfo_symbol(image, "swapper_pg_dir", &root) ||
	    !riscv64_image_paddr(image, root, &ret->root) ||
	    !vmcoreinfo_number(image, "VA_BITS", &va_bits) ||
	    (va_bits != 39 && va_bits != 48 && va_bits != 57))
		return false;
	ret->levels = (unsigned int)(va_bits - 12) / 9;
	ret->entry = riscv64_entry;
	ret->sign = true;
	for (unsigned int i = 0; i < ret->levels; i++) {
		ret->shift[i] = (uint8_t)(12 + 9 * (ret->levels - 1 - i));
		ret->bits[i] = 9;
	}
	return true;
}

const struct arch arch_riscv64 = {
	.name = "riscv64",
	.machine = EM_RISCV,
	.is64 = true,
	.only_little = true,
	.page_size = 4096,
	.one_page_size = true,
	.kernel_key = "NUMBER(va_kernel_pa_offset)",
	.prstatus_size = 376,
	.section_bits = 27,
	.regs = regs,
	.phys_base = riscv64_phys_base,
	.image_paddr = riscv64_image_paddr,
	.paging = riscv64_paging,
};
