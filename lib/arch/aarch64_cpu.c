/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * arch/aarch64_cpu.c - an aarch64 CPU: NT_PRSTATUS
 *
 * Facts: struct elf_prstatus and struct user_pt_regs of Linux.
 */
#include "aarch64_cpu.h"

#include <elf.h>

#include "../util/bits.h"
#include "../util/cursor.h"

enum {
	PRSTATUS_SIZE = 392, PRSTATUS_PID = 32, PRSTATUS_REGS = 112,
	PSTATE_SP = 1, PSTATE_EL = 0xc,         /* which stack pointer; level    */
};

struct gdump_error *aarch64_cpu_add_notes(const struct aarch64_cpu *cpu, size_t n,
					  struct image *image)
{
	const bool is_el1 = cpu->pstate & PSTATE_SP && cpu->pstate & PSTATE_EL;
	unsigned char desc[PRSTATUS_SIZE] = { 0 };
	struct cursor c = cursor_init(desc, sizeof(desc), false, true);

	cursor_take(&c, PRSTATUS_PID);
	put_u32(&c, (uint32_t)n + 1);
	cursor_take(&c, PRSTATUS_REGS - PRSTATUS_PID - 4);
	for (size_t i = 0; i < ARRAY_SIZE(cpu->x); i++)
		put_u64(&c, cpu->x[i]);
	put_u64(&c, is_el1 ? cpu->sp_el1 : cpu->sp_el0);
	put_u64(&c, cpu->pc);
	put_u64(&c, cpu->pstate);
	return image_add_note(image, "CORE", NT_PRSTATUS, desc, sizeof(desc));
}
