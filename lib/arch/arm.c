/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <elf.h>

#include "../machine/image.h"
#include "arch.h"

#define R(n) { "r" #n, 72 + 4 * n, 4 }
static const struct reg regs[] = {
	R(0), R(1), R(2), R(3), R(4), R(5), R(6), R(7), R(8), R(9), R(10), R(11), R(12),
	{ "sp", 124, 4, true }, { "lr", 128, 4 }, { "pc", 132, 4, true }, { "cpsr", 136, 4 }, { 0 },
};
#undef R

#define D(n) { "d" #n, 8 * n, 8 }
static const struct reg vfp[] = { REGS_32(D), { "fpscr", 256, 4 }, { 0 } };
#undef D

static const struct reg_set sets[] = {
	{ "float", "LINUX", NT_ARM_VFP, vfp },
	{ 0 },
};

static uint64_t arm_phys_base(const struct image *image)
{
	return image->num_ranges ? image->ranges[0].start : 0;
}

const struct arch arch_arm = {
	.name = "armv7l",
	.machine = EM_ARM,
	.page_size = 4096,
	.one_page_size = true,
	.prstatus_size = 148,
	.regs = regs,
	.sets = sets,
	.phys_base = arm_phys_base,
};
