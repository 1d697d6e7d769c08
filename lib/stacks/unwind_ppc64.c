/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * unwind_ppc64.c - stacks of ppc64, by back chains
 *
 * A frame begins with the address of the next one (its back chain); the third word is where
 * the function that it called saved its return address, so that of the first frame is stale.
 * A frame that an interrupt made has a mark, at a distance that depends on the kernel's
 * version and ABI, and the registers of what was interrupted.
 *
 * Facts: Linux's arch/powerpc/kernel/stacktrace.c and include/asm/ptrace.h.
 */
#include "../arch/arch.h"
#include "../util/bits.h"
#include "unwind.h"

enum { SAVED_LR = 16, REGS_NIP = 32 * 8, REGS_MSR = 33 * 8, WAS_USER_BIT = 14 };

enum { START_PC, START_SP, START_LR, START_MSR };

/* "regshere", and its shorter forms */
static const uint64_t marks[] = { 0x7265677368657265, 0x53474552, 0x72656773 };

/* Where a frame has the mark, and where the registers */
static const struct { uint8_t mark, regs; } places[] = { { 32, 48 }, { 96, 112 }, { 112, 128 } };

/* The registers of what was interrupted by the frame at @sp; 0: it is no such frame. */
static uint64_t ppc64_find_regs(struct walk *w, uint64_t sp)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		uint64_t word;

		if (!range_fits(sp + places[i].mark, 8, w->hi) ||
		    !walk_word(w, sp + places[i].mark, &word))
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(marks); k++) {
			if (word == marks[k])
				return sp + places[i].regs;
		}
	}
	return 0;
}

static bool ppc64_enter_regs(struct walk *w, uint64_t regs)
{
	uint64_t pc, msr;

	if (!walk_word(w, regs + REGS_NIP, &pc) || !walk_word(w, regs + REGS_MSR, &msr))
		return false;
	if (msr >> WAS_USER_BIT & 1) {
		w->at = 0;
		return walk_add(w, GDUMP_FRAME_USER, pc) && walk_end(w, GDUMP_STACK_USER, pc);
	}
	return !text_has(&w->unwind->text, pc) || walk_add(w, GDUMP_FRAME_EXACT, pc);
}

/* Add the frame at the current place, unless its return address is stale, and go to the next. */
static bool ppc64_step(struct walk *w, bool is_stale)
{
	uint64_t next, lr, regs;

	if (!walk_word(w, w->at, &next) || !walk_word(w, w->at + SAVED_LR, &lr))
		return false;
	if (!is_stale && walk_is_return(w, lr) && !walk_add(w, GDUMP_FRAME_CALL, lr))
		return false;
	regs = ppc64_find_regs(w, w->at);
	if (regs && !ppc64_enter_regs(w, regs))
		return false;
	if (!next)
		return walk_end(w, GDUMP_STACK_COMPLETE, 0);
	return walk_move(w, next);
}

/* From the innermost frame on, which is the current place */
static void ppc64_walk(struct walk *w)
{
	bool good = ppc64_step(w, true);

	while (good)
		good = ppc64_step(w, false);
}

static void ppc64_sleeping(struct walk *w, const uint64_t *start)
{
	if (walk_move(w, start[0]))
		ppc64_walk(w);
}

static void ppc64_running(struct walk *w, const uint64_t *start)
{
	const bool is_user = start[START_MSR] >> WAS_USER_BIT & 1;
	uint64_t next, lr;

	w->at = start[START_SP];
	if (!walk_add(w, is_user ? GDUMP_FRAME_USER : GDUMP_FRAME_EXACT, start[START_PC]))
		return;
	if (is_user) {
		walk_end(w, GDUMP_STACK_USER, start[START_PC]);
		return;
	}
	/* the function may not have saved its return address yet */
	if (!walk_move(w, start[START_SP]) || !walk_word(w, w->at, &next) ||
	    !walk_word(w, next + SAVED_LR, &lr) ||
	    (lr != start[START_LR] && walk_is_return(w, start[START_LR]) &&
	     !walk_add(w, GDUMP_FRAME_GUESS, start[START_LR])))
		return;
	ppc64_walk(w);
}

const struct unwinder unwinder_ppc64 = {
	.arch = &arch_ppc64,
	.task_members = { "thread.ksp" },
	.registers = { "nip", "r1", "lr", "msr" },
	.sleeping = ppc64_sleeping,
	.running = ppc64_running,
};
