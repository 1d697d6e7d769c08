/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * unwind_riscv64.c - stacks of RISC-V, by frame pointers
 *
 * The two words below a frame pointer are the next frame pointer and a return address.  What
 * was interrupted has its registers where the frame pointer of its handler points.
 *
 * Facts: Linux's arch/riscv/kernel/stacktrace.c.
 */
#include <string.h>

#include "../arch/arch.h"
#include "unwind.h"

/* Offsets in struct pt_regs */
enum { REGS_EPC = 0, REGS_RA = 8, REGS_S0 = 64, REGS_STATUS = 256, WAS_KERNEL = 1 << 8 };

enum { START_PC, START_FP };

static bool riscv64_is_handler(const struct walk *w, uint64_t pc)
{
	struct text_symbol s;

	for (unsigned int back = 0; back < 2; back++) {
		if (text_at(&w->unwind->text, pc - back, &s) && s.name &&
		    (!strcmp(s.name, "ret_from_exception") || !strcmp(s.name, "handle_exception")))
			return true;
	}
	return false;
}

/* Go on where the CPU was interrupted: its registers are at *@fp. */
static bool riscv64_enter_regs(struct walk *w, uint64_t *fp)
{
	const uint64_t regs = *fp;
	uint64_t status, pc;

	if (!walk_word(w, regs + REGS_STATUS, &status) || !walk_word(w, regs + REGS_EPC, &pc))
		return false;
	if (!(status & WAS_KERNEL)) {
		w->at = 0;
		return walk_add(w, GDUMP_FRAME_USER, pc) && walk_end(w, GDUMP_STACK_USER, pc);
	}
	return walk_word(w, regs + REGS_S0, fp) && walk_add(w, GDUMP_FRAME_EXACT, pc);
}

static bool riscv64_step(struct walk *w, uint64_t *fp)
{
	uint64_t next, ra;

	if (!*fp)
		return walk_end(w, GDUMP_STACK_COMPLETE, 0);
	if (!walk_word(w, *fp - 16, &next) || !walk_word(w, *fp - 8, &ra))
		return false;
	if (!walk_is_return(w, ra))
		return walk_end(w, GDUMP_STACK_NOT_CODE, ra);
	if (!walk_add(w, GDUMP_FRAME_CALL, ra))
		return false;
	if (riscv64_is_handler(w, ra))
		return riscv64_enter_regs(w, fp);
	*fp = next;
	return true;
}

/* The frame of a pointer lies below it. */
static void riscv64_walk(struct walk *w, uint64_t fp)
{
	do {
		if (fp && !walk_move(w, fp - 16))
			return;
	} while (riscv64_step(w, &fp));
}

static void riscv64_sleeping(struct walk *w, const uint64_t *start)
{
	w->at = start[START_FP];
	if (walk_add(w, GDUMP_FRAME_CALL, start[START_PC]))
		riscv64_walk(w, start[START_FP]);
}

static void riscv64_running(struct walk *w, const uint64_t *start)
{
	const bool is_user = !(start[START_PC] >> 63);

	w->at = start[START_FP];
	if (!walk_add(w, is_user ? GDUMP_FRAME_USER : GDUMP_FRAME_EXACT, start[START_PC]))
		return;
	if (is_user)
		walk_end(w, GDUMP_STACK_USER, start[START_PC]);
	else
		riscv64_walk(w, start[START_FP]);
}

const struct unwinder unwinder_riscv64 = {
	.arch = &arch_riscv64,
	.task_members = { "thread.ra", "thread.s[0]" },
	.registers = { "pc", "s0" },
	.sleeping = riscv64_sleeping,
	.running = riscv64_running,
};
