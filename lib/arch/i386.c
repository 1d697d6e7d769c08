/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <elf.h>

#include "arch.h"

/* The default PAGE_OFFSET, and the size of low memory: 1 GiB less 128 MiB for vmalloc */
enum { PAGE_OFFSET_MIB = 3072, LOWMEM_MIB = 896 };

static const struct reg regs[] = {
	{ "ebx", 72, 4 }, { "ecx", 76, 4 }, { "edx", 80, 4 }, { "esi", 84, 4 },
	{ "edi", 88, 4 }, { "ebp", 92, 4 }, { "eax", 96, 4 }, { "ds", 100, 4 },
	{ "es", 104, 4 }, { "fs", 108, 4 }, { "gs", 112, 4 }, { "orig_eax", 116, 4 },
	{ "eip", 120, 4, true }, { "cs", 124, 4 }, { "eflags", 128, 4 }, { "esp", 132, 4, true },
	{ "ss", 136, 4 }, { 0 },
};

static bool i386_image_paddr(const struct image *image, uint64_t vaddr, uint64_t *paddr)
{
	(void)image;
	*paddr = vaddr - arch_i386.lowmem_vaddr;
	return vaddr >= arch_i386.lowmem_vaddr && *paddr < arch_i386.lowmem_size;
}

const struct arch arch_i386 = {
	.name = "i686",
	.machine = EM_386,
	.only_little = true,
	.page_size = 4096,
	.one_page_size = true,
	.firmware_last = UINT32_MAX,
	.kernel_key = "CONFIG_X86_PAE",
	.prstatus_size = 144,
	.regs = regs,
	.sets = x86_sets,
	.lowmem_vaddr = (uint64_t)PAGE_OFFSET_MIB << 20,
	.lowmem_size = (uint64_t)LOWMEM_MIB << 20,
	.image_paddr = i386_image_paddr,
	.cpu_paging = x86_cpu_paging,
};
