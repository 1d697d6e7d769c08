/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * unwind_aarch64.c - stacks of AArch64, by frame records
 *
 * A frame record is the address of the next record and a return address, which may be signed
 * (pointer authentication).  The last record is zero.  Since Linux 6.14 a word after a zero
 * record says whether it is the last one, or lies in the registers of what was interrupted.
 *
 * Facts: Linux's arch/arm64/kernel/stacktrace.c and include/asm/stacktrace/frame.h.
 */
#include "../arch/arch.h"
#include "../machine/vmcoreinfo.h"
#include "unwind.h"

enum { META_FINAL = 1, META_REGS = 2 };

/* Offsets in struct pt_regs */
enum { REGS_FP = 29 * 8, REGS_LR = 30 * 8, REGS_PC = 256, REGS_PSTATE = 264, IN_USER = 0xf };

enum { START_PC, START_FP, START_LR, START_PSTATE };

static const uint64_t kernel_bit = (uint64_t)1 << 55;

/* Remove the signature of an address. */
static uint64_t aarch64_strip(const struct walk *w, uint64_t pc)
{
	uint64_t mask;

	if (!(pc & kernel_bit) || !vmcoreinfo_number(&w->unwind->kernel->source->image,
						     "KERNELPACMASK", &mask))
		return pc;
	return pc | mask;
}

/* A function that was interrupted before it made its record, or makes none, does not have its
 * caller in the records: that may be in the link register.
 */
static bool aarch64_guess_caller(struct walk *w, uint64_t lr, uint64_t fp)
{
	uint64_t next;

	lr = aarch64_strip(w, lr);
	if (!walk_is_return(w, lr) || !walk_word(w, fp + 8, &next))
		return true;
	return lr == aarch64_strip(w, next) || walk_add(w, GDUMP_FRAME_GUESS, lr);
}

/* Go on where the CPU was interrupted, whose registers contain the record at *@fp. */
static bool aarch64_enter_regs(struct walk *w, uint64_t *fp)
{
	const struct btf *btf = &w->unwind->kernel->btf;
	struct btf_field frame;
	uint64_t pc, lr, regs;

	if (!btf_field(btf, "pt_regs", "stackframe", &frame))
		return walk_end(w, GDUMP_STACK_UNSUPPORTED, *fp);
	regs = *fp - frame.off;
	return walk_word(w, regs + REGS_PC, &pc) && walk_word(w, regs + REGS_LR, &lr) &&
	       walk_word(w, regs + REGS_FP, fp) && walk_add(w, GDUMP_FRAME_EXACT, pc) &&
	       (!*fp || aarch64_guess_caller(w, lr, *fp));
}

/* The last record is at @fp: in the registers of the process, at the top of the stack, if the
 * task came from user space.
 */
static bool aarch64_finish(struct walk *w, uint64_t fp)
{
	const struct btf *btf = &w->unwind->kernel->btf;
	uint64_t regs, pc, pstate;
	struct btf_field frame;

	if (!btf_field(btf, "pt_regs", "stackframe", &frame) ||
	    fp - frame.off + btf_size(btf, "pt_regs") != w->hi)
		return walk_end(w, GDUMP_STACK_COMPLETE, 0);
	regs = fp - frame.off;
	if (!walk_word(w, regs + REGS_PC, &pc) || !walk_word(w, regs + REGS_PSTATE, &pstate))
		return false;
	if (!pc || pstate & IN_USER)
		return walk_end(w, GDUMP_STACK_COMPLETE, 0);
	w->at = 0;
	return walk_add(w, GDUMP_FRAME_USER, pc) && walk_end(w, GDUMP_STACK_USER, pc);
}

static bool aarch64_step(struct walk *w, uint64_t *fp, bool has_meta)
{
	uint64_t next, lr, type;

	if (!*fp)
		return walk_end(w, GDUMP_STACK_COMPLETE, 0);
	if (!walk_move(w, *fp) || !walk_word(w, *fp, &next) || !walk_word(w, *fp + 8, &lr))
		return false;
	if (!next && !lr) {
		type = META_FINAL;
		if (has_meta && !walk_word(w, *fp + 16, &type))
			return false;
		if (type == META_REGS)
			return aarch64_enter_regs(w, fp);
		return type == META_FINAL ? aarch64_finish(w, *fp) :
					    walk_end(w, GDUMP_STACK_ASTRAY, *fp);
	}
	lr = aarch64_strip(w, lr);
	if (!walk_is_return(w, lr))
		return walk_end(w, GDUMP_STACK_NOT_CODE, lr);
	*fp = next;
	return walk_add(w, GDUMP_FRAME_CALL, lr);
}

static void aarch64_walk(struct walk *w, uint64_t fp)
{
	const bool has_meta = btf_size(&w->unwind->kernel->btf, "frame_record_meta");

	while (aarch64_step(w, &fp, has_meta))
		;
}

static void aarch64_sleeping(struct walk *w, const uint64_t *start)
{
	w->at = start[START_FP];
	if (walk_add(w, GDUMP_FRAME_CALL, start[START_PC]))
		aarch64_walk(w, start[START_FP]);
}

static void aarch64_running(struct walk *w, const uint64_t *start)
{
	const bool is_user = !(start[START_PSTATE] & IN_USER);

	w->at = start[START_FP];
	if (!walk_add(w, is_user ? GDUMP_FRAME_USER : GDUMP_FRAME_EXACT, start[START_PC]))
		return;
	if (is_user)
		walk_end(w, GDUMP_STACK_USER, start[START_PC]);
	else if (!start[START_FP] || aarch64_guess_caller(w, start[START_LR], start[START_FP]))
		aarch64_walk(w, start[START_FP]);
}

const struct unwinder unwinder_aarch64 = {
	.arch = &arch_aarch64,
	.task_members = { "thread.cpu_context.pc", "thread.cpu_context.fp" },
	.registers = { "pc", "x29", "x30", "pstate" },
	.sleeping = aarch64_sleeping,
	.running = aarch64_running,
};
