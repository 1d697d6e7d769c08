/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>

#include "arch.h"

static const struct reg regs[] = {
	{ "ebx", 72, 4 }, { "ecx", 76, 4 }, { "edx", 80, 4 }, { "esi", 84, 4 },
	{ "edi", 88, 4 }, { "ebp", 92, 4 }, { "eax", 96, 4 }, { "ds", 100, 4 },
	{ "es", 104, 4 }, { "fs", 108, 4 }, { "gs", 112, 4 }, { "orig_eax", 116, 4 },
	{ "eip", 120, 4, true }, { "cs", 124, 4 }, { "eflags", 128, 4 }, { "esp", 132, 4, true },
	{ "ss", 136, 4 }, { 0 },
};

const struct arch arch_i386 = {
	.name = "i686",
	.machine = EM_386,
	.page_size = 4096,
	.one_page_size = true,
	.prstatus_size = 144,
	.regs = regs,
	.sets = x86_sets,
};
