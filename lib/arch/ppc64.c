/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>

#include "arch.h"

#define R(n) { "r" #n, 112 + 8 * n, 8 }
static const struct reg regs[] = {
	R(0), R(1), R(2), R(3), R(4), R(5), R(6), R(7), R(8), R(9), R(10), R(11), R(12), R(13),
	R(14), R(15), R(16), R(17), R(18), R(19), R(20), R(21), R(22), R(23), R(24), R(25),
	R(26), R(27), R(28), R(29), R(30), R(31),
	{ "nip", 368, 8 }, { "msr", 376, 8 }, { "orig_r3", 384, 8 }, { "ctr", 392, 8 },
	{ "lr", 400, 8 }, { "xer", 408, 8 }, { "ccr", 416, 8 }, { "softe", 424, 8 },
	{ "trap", 432, 8 }, { "dar", 440, 8 }, { "dsisr", 448, 8 }, { "result", 456, 8 },
	{ 0 },
};
#undef R

const struct arch arch_ppc64 = {
	.name = "ppc64",
	.machine = EM_PPC64,
	.is64 = true,
	.page_size = 65536,
	.prstatus_size = 504,
	.regs = regs,
};
