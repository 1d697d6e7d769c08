/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <elf.h>

#include "arch.h"

#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif

#define R(n) { "r" #n, 112 + 8 * n, 8 }
static const struct reg regs[] = {
	R(0), R(1), R(2), { "r3", 136, 8, true },
	R(4), R(5), R(6), R(7), R(8), R(9), R(10), R(11), R(12), R(13), R(14), R(15),
	REGS_16_TO_31(R),
	{ "orig_a0", 368, 8 }, { "pc", 376, 8, true }, { "badvaddr", 384, 8 }, { 0 },
};
#undef R

#define F(n) { "f" #n, 8 * n, 8 }
static const struct reg fp[] = { REGS_32(F), { "fcc", 256, 8 }, { "fcsr", 264, 4 }, { 0 } };
#undef F

static const struct reg_set sets[] = {
	{ "float", "CORE", NT_FPREGSET, fp },
	{ 0 },
};

const struct arch arch_loongarch64 = {
	.name = "loongarch64",
	.machine = EM_LOONGARCH,
	.is64 = true,
	.only_little = true,
	.page_size = 16384,
	.prstatus_size = 480,
	.regs = regs,
	.sets = sets,
};
