/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <elf.h>

#include "../machine/walker.h"
#include "../machine/vmcoreinfo.h"
#include "../util/bits.h"
#include "arch.h"

/* Where the kernel's image is linked: __START_KERNEL_map. */
static const uint64_t kernel_map = 0xffffffff80000000;

static const struct reg regs[] = {
	{ "r15", 112, 8 }, { "r14", 120, 8 }, { "r13", 128, 8 }, { "r12", 136, 8 },
	{ "rbp", 144, 8 }, { "rbx", 152, 8 }, { "r11", 160, 8 }, { "r10", 168, 8 },
	{ "r9", 176, 8 }, { "r8", 184, 8 }, { "rax", 192, 8 }, { "rcx", 200, 8 },
	{ "rdx", 208, 8 }, { "rsi", 216, 8 }, { "rdi", 224, 8 }, { "orig_rax", 232, 8 },
	{ "rip", 240, 8, true }, { "cs", 248, 8 }, { "eflags", 256, 8 }, { "rsp", 264, 8, true },
	{ "ss", 272, 8 }, { "fs_base", 280, 8 }, { "gs_base", 288, 8 }, { "ds", 296, 8 },
	{ "es", 304, 8 }, { "fs", 312, 8 }, { "gs", 320, 8 }, { 0 },
};

/* Decimal, and negative with KASLR.  The headers that QEMU writes have a wrong value. */
static uint64_t x86_64_phys_base(const struct image *image)
{
	uint64_t base = image->phys_base;

	vmcoreinfo_number(image, "phys_base", &base);
	return base;
}

static bool x86_64_image_paddr(const struct image *image, uint64_t vaddr, uint64_t *paddr)
{
	uint64_t base;

	if (vaddr < kernel_map || !vmcoreinfo_number(image, "phys_base", &base))
		return false;
	*paddr = vaddr - kernel_map + base;
	return true;
}

/* Bit 0: present; bit 7: a large page, of 2 MiB or 1 GiB; bits 51:12: the address, without
 * the bit that marks encrypted memory (AMD SME).
 */
static enum entry_kind x86_64_entry(const struct paging *p, unsigned int level, uint64_t entry,
				    uint64_t *paddr)
{
	const unsigned int below = p->levels - 1 - level;

	if (!(entry & 1))
		return ENTRY_NONE;
	*paddr = entry & 0x000ffffffffff000 & ~p->mask;
	if (!below)
		return ENTRY_PAGE;
	if (!(entry & 0x80))
		return ENTRY_TABLE;
	return below <= 2 ? ENTRY_PAGE : ENTRY_NONE;
}

void x86_64_set_paging(struct paging *p, uint64_t root, bool la57, uint64_t mask)
{
	p->root = root;
	p->levels = la57 ? 5 : 4;
	p->mask = mask;
	p->entry = x86_64_entry;
	p->sign = true;
	for (unsigned int i = 0; i < p->levels; i++) {
		p->shift[i] = (uint8_t)(12 + 9 * (p->levels - 1 - i));
		p->bits[i] = 9;
	}
}

static bool x86_64_paging(struct source *s, struct paging *ret)
{
	const struct image *image = &s->image;
	uint64_t vaddr, root, la57 = 0, sme_mask = 0;

	if (!vmcoreinfo_symbol(image, "swapper_pg_dir", &vaddr) ||
	    !x86_64_image_paddr(image, vaddr, &root))
		return false;
	vmcoreinfo_number(image, "pgtable_l5_enabled", &la57);
	vmcoreinfo_number(image, "sme_mask", &sme_mask);
	x86_64_set_paging(ret, root, la57, sme_mask);
	return true;
}

const struct arch arch_x86_64 = {
	.name = "x86_64",
	.machine = EM_X86_64,
	.is64 = true,
	.only_little = true,
	.page_size = 4096,
	.one_page_size = true,
	.firmware_last = UINT32_MAX,
	.kernel_key = "NUMBER(pgtable_l5_enabled)",
	.prstatus_size = 336,
	.section_bits = 27,
	.regs = regs,
	.sets = x86_sets,
	.phys_base = x86_64_phys_base,
	.image_paddr = x86_64_image_paddr,
	.paging = x86_64_paging,
	.cpu_paging = x86_cpu_paging,
};
