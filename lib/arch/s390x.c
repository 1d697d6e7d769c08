/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>

#include "arch.h"

#define R(n) { "r" #n, 128 + 8 * n, 8 }
#define A(n) { "a" #n, 256 + 4 * n, 4 }
static const struct reg regs[] = {
	{ "psw_mask", 112, 8 }, { "psw_addr", 120, 8 },
	R(0), R(1), R(2), R(3), R(4), R(5), R(6), R(7), R(8), R(9), R(10), R(11), R(12), R(13),
	R(14), R(15),
	A(0), A(1), A(2), A(3), A(4), A(5), A(6), A(7), A(8), A(9), A(10), A(11), A(12), A(13),
	A(14), A(15),
	{ "orig_r2", 320, 8 }, { 0 },
};
#undef R
#undef A

const struct arch arch_s390x = {
	.name = "s390x",
	.machine = EM_S390,
	.is64 = true,
	.page_size = 4096,
	.one_page_size = true,
	.prstatus_size = 336,
	.regs = regs,
};
