/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>

#include "../kernel/vmcoreinfo.h"
#include "arch.h"

#define X(n) { "x" #n, 112 + 8 * n, 8 }
static const struct reg regs[] = {
	X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10), X(11), X(12), X(13),
	X(14), X(15), X(16), X(17), X(18), X(19), X(20), X(21), X(22), X(23), X(24), X(25),
	X(26), X(27), X(28), X(29), X(30), { "sp", 360, 8 }, { "pc", 368, 8 },
	{ "pstate", 376, 8 }, { 0 },
};
#undef X

/* PHYS_OFFSET is memstart_addr, a 64-bit pattern that wraps with KASLR. */
static uint64_t phys_base(const struct image *image)
{
	uint64_t base = image->phys_base;

	if (!vmcoreinfo_number(image, "PHYS_OFFSET", &base) && image->num_ranges)
		base = image->ranges[0].start;
	return base;
}

static bool image_paddr(const struct image *image, uint64_t vaddr, uint64_t *paddr)
{
	uint64_t offset;

	if (!vmcoreinfo_number(image, "kimage_voffset", &offset))
		return false;
	*paddr = vaddr - offset;
	return true;
}

const struct arch arch_aarch64 = {
	.name = "aarch64",
	.machine = EM_AARCH64,
	.is64 = true,
	.page_size = 4096,
	.prstatus_size = 392,
	.regs = regs,
	.phys_base = phys_base,
	.image_paddr = image_paddr,
};
