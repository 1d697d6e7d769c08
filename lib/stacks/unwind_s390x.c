/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * unwind_s390x.c - stacks of s390x, by back chains
 *
 * A frame begins with struct stack_frame, which has the address of the next frame (its back
 * chain) and saved registers, among them r14, the return address.  If the back chain is 0,
 * the registers of what was interrupted follow, or those with which a thread began.
 *
 * Facts: Linux's arch/s390/kernel/unwind_bc.c.
 */
#include "../arch/arch.h"
#include "../util/bits.h"
#include "unwind.h"

enum { FRAME = 160, R14 = 8 * 8, R15 = 15 * 8, FIRST_REGS = 256, WAS_USER_BIT = 48 };

enum { START_MASK, START_PC, START_SP };

/* Offsets in structs */
struct s390x_layout {
	struct btf_field back_chain, gprs, mask, pc, regs;
};

static bool s390x_find_layout(struct walk *w, struct s390x_layout *ret)
{
	const struct btf *btf = &w->unwind->kernel->btf;

	return (btf_field(btf, "stack_frame", "back_chain", &ret->back_chain) &&
		btf_field(btf, "stack_frame", "gprs", &ret->gprs) &&
		btf_field(btf, "pt_regs", "psw.mask", &ret->mask) &&
		btf_field(btf, "pt_regs", "psw.addr", &ret->pc) &&
		btf_field(btf, "pt_regs", "gprs", &ret->regs)) ||
	       walk_end(w, GDUMP_STACK_UNSUPPORTED, 0);
}

/* The return address that was saved in the frame at @sp */
static bool s390x_return(struct walk *w, const struct s390x_layout *l, uint64_t sp, uint64_t *ret)
{
	return walk_word(w, sp + l->gprs.off + R14, ret);
}

/* The function that was interrupted may not have saved its registers yet, and may have called
 * another one before.
 */
static bool s390x_guess_caller(struct walk *w, const struct s390x_layout *l, uint64_t pc)
{
	uint64_t caller;

	return s390x_return(w, l, w->at, &caller) &&
	       (caller == pc || !walk_is_return(w, caller) ||
		walk_add(w, GDUMP_FRAME_GUESS, caller));
}

/* Go on where the CPU was interrupted. */
static bool s390x_enter_regs(struct walk *w, const struct s390x_layout *l)
{
	const uint64_t regs = w->at + FRAME;
	uint64_t mask, pc, sp;

	if (!range_fits(regs, l->regs.off + R15 + 8, w->hi))
		return walk_end(w, GDUMP_STACK_COMPLETE, 0);
	if (!walk_word(w, regs + l->mask.off, &mask) || !walk_word(w, regs + l->pc.off, &pc) ||
	    !walk_word(w, regs + l->regs.off + R15, &sp))
		return false;
	if (mask >> WAS_USER_BIT & 1) {
		w->at = 0;
		return walk_add(w, GDUMP_FRAME_USER, pc) && walk_end(w, GDUMP_STACK_USER, pc);
	}
	/* those at the end of the stack of a kernel thread say how it began */
	if (!text_has(&w->unwind->text, pc) || w->hi - regs <= FIRST_REGS)
		return walk_end(w, GDUMP_STACK_COMPLETE, 0);
	return walk_move(w, sp) && walk_add(w, GDUMP_FRAME_EXACT, pc) &&
	       s390x_guess_caller(w, l, pc);
}

static bool s390x_step(struct walk *w, const struct s390x_layout *l)
{
	uint64_t next, pc;

	if (!walk_word(w, w->at + l->back_chain.off, &next))
		return false;
	if (!next)
		return s390x_enter_regs(w, l);
	if (!walk_move(w, next) || !s390x_return(w, l, next, &pc))
		return false;
	if (!walk_is_return(w, pc))
		return walk_end(w, GDUMP_STACK_NOT_CODE, pc);
	return walk_add(w, GDUMP_FRAME_CALL, pc);
}

static void s390x_sleeping(struct walk *w, const uint64_t *start)
{
	struct s390x_layout l;
	uint64_t pc;
	bool good = s390x_find_layout(w, &l) && walk_move(w, start[0]) &&
		    s390x_return(w, &l, start[0], &pc) && walk_add(w, GDUMP_FRAME_CALL, pc);

	while (good)
		good = s390x_step(w, &l);
}

static void s390x_running(struct walk *w, const uint64_t *start)
{
	struct s390x_layout l;
	bool good;

	if (start[START_MASK] >> WAS_USER_BIT & 1) {
		if (walk_add(w, GDUMP_FRAME_USER, start[START_PC]))
			walk_end(w, GDUMP_STACK_USER, start[START_PC]);
		return;
	}
	good = s390x_find_layout(w, &l) && walk_move(w, start[START_SP]) &&
	       walk_add(w, GDUMP_FRAME_EXACT, start[START_PC]) &&
	       s390x_guess_caller(w, &l, start[START_PC]);
	while (good)
		good = s390x_step(w, &l);
}

const struct unwinder unwinder_s390x = {
	.arch = &arch_s390x,
	.task_members = { "thread.ksp" },
	.registers = { "psw_mask", "psw_addr", "r15" },
	.sleeping = s390x_sleeping,
	.running = s390x_running,
};
