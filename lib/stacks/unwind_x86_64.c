/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * unwind_x86_64.c - stacks of x86-64, by ORC or by frame pointers
 *
 * ORC describes for each instruction how to find the frame of the caller, also across stacks
 * of interrupts and exceptions.  Code that it does not describe, such as compiled BPF, uses
 * frame pointers, and so does all of a kernel that was built with CONFIG_UNWINDER_FRAME_POINTER.
 * There, an odd frame pointer is the address of saved registers plus 1.
 *
 * Facts: Linux's arch/x86/kernel/unwind_orc.c and unwind_frame.c.
 */
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "orc.h"
#include "unwind.h"

/* Offsets in struct pt_regs */
enum {
	REGS_R13 = 16, REGS_BP = 32, REGS_R10 = 56, REGS_DX = 96, REGS_DI = 112, REGS_IP = 128,
	REGS_CS = 136, REGS_SP = 152,
};

/* Indexes of what a running CPU begins with */
enum { START_IP, START_SP, START_BP, START_CS, START_R10, START_R13, START_DI, START_DX };

struct x86_state {
	struct walk *walk;
	const struct orc *orc;
	uint64_t ip, sp, bp;
	uint64_t r10, r13, di, dx;
	bool has_regs;                  /* the four above are known             */
	bool exact;                     /* ip is no return address              */
	bool first;
};

static struct gdump_error *x86_open(struct unwind *u)
{
	struct orc *orc = calloc(1, sizeof(*orc));
	struct gdump_error *err = orc ? orc_read(u->kernel, &u->text, orc) : error_nomem();

	if (err) {
		free(orc);
		return err;
	}
	u->tables = orc;
	return NULL;
}

static void x86_close(struct unwind *u)
{
	if (u->tables)
		orc_deinit(u->tables);
	free(u->tables);
}

/* Go to the frame of the caller, whose registers are known now. */
static bool x86_enter(struct x86_state *s, enum gdump_frame_kind kind, uint64_t ip, uint64_t sp)
{
	s->ip = ip;
	s->sp = sp;
	s->exact = kind == GDUMP_FRAME_EXACT;
	s->first = false;
	return walk_move(s->walk, sp) && walk_add(s->walk, kind, ip);
}

/* Go to where the CPU was interrupted: its registers were saved at @regs, @full or only those
 * from the instruction pointer on.  @bp: the value of rbp, if it is not there
 */
static bool x86_enter_regs(struct x86_state *s, uint64_t regs, bool full, uint64_t bp)
{
	uint64_t ip, cs, sp;

	if (!walk_word(s->walk, regs + REGS_IP, &ip) || !walk_word(s->walk, regs + REGS_CS, &cs) ||
	    !walk_word(s->walk, regs + REGS_SP, &sp))
		return false;
	if (cs & 3) {
		s->walk->at = 0;
		return walk_add(s->walk, GDUMP_FRAME_USER, ip) &&
		       walk_end(s->walk, GDUMP_STACK_USER, ip);
	}
	s->has_regs = full && walk_word(s->walk, regs + REGS_R10, &s->r10) &&
		      walk_word(s->walk, regs + REGS_R13, &s->r13) &&
		      walk_word(s->walk, regs + REGS_DI, &s->di) &&
		      walk_word(s->walk, regs + REGS_DX, &s->dx) &&
		      walk_word(s->walk, regs + REGS_BP, &bp);
	if (full && !s->has_regs)
		return false;
	s->bp = bp;
	return x86_enter(s, GDUMP_FRAME_EXACT, ip, sp);
}

/* By the frame pointer: of code without an entry, which is a guess, or of a kernel without ORC */
static bool x86_step_fp(struct x86_state *s)
{
	const bool has_orc = s->orc->kernel.num;
	uint64_t bp, ip;

	if (s->bp & 1 && !has_orc)
		return x86_enter_regs(s, s->bp - 1, true, 0);
	if (!s->bp)
		return walk_end(s->walk, has_orc ? GDUMP_STACK_NO_TABLE : GDUMP_STACK_COMPLETE, s->ip);
	if (!walk_word(s->walk, s->bp, &bp) || !walk_word(s->walk, s->bp + 8, &ip))
		return false;
	if (!walk_is_return(s->walk, ip))
		return walk_end(s->walk, GDUMP_STACK_NOT_CODE, ip);
	s->has_regs = false;
	if (!x86_enter(s, has_orc ? GDUMP_FRAME_GUESS : GDUMP_FRAME_CALL, ip, s->bp + 16))
		return false;
	s->bp = bp;
	return true;
}

/* Whether a CPU was in a thunk for an indirect call or a return.  They have no entries. */
static bool x86_is_thunk(const struct walk *w)
{
	static const char *const prefixes[] = {
		"__x86_indirect", "__x86_return", "srso", "retbleed", "its_", "entry_ibpb",
		"zen_untrain",
	};
	const char *name = w->frames[w->num - 1].function;

	for (size_t i = 0; name && i < ARRAY_SIZE(prefixes); i++) {
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	}
	return false;
}

static bool x86_leave_undefined(struct x86_state *s)
{
	uint64_t ip;

	if (!s->first || !s->exact || !x86_is_thunk(s->walk))
		return walk_end(s->walk, GDUMP_STACK_NO_TABLE, s->ip);
	/* the caller is on top of the stack */
	return walk_word(s->walk, s->sp, &ip) &&
	       (walk_is_return(s->walk, ip) || walk_end(s->walk, GDUMP_STACK_NOT_CODE, ip)) &&
	       x86_enter(s, GDUMP_FRAME_CALL, ip, s->sp + 8);
}

/* The end of the frame: where the stack pointer was before the call */
static bool x86_find_base(struct x86_state *s, const struct orc_entry *e, uint64_t *ret)
{
	const uint64_t off = (uint64_t)(int64_t)e->sp_off;
	const bool late = s->orc->late_offset;

	switch (e->sp_reg) {
	case ORC_REG_SP:
		*ret = s->sp + off;
		return true;
	case ORC_REG_BP:
		*ret = s->bp + off;
		return true;
	case ORC_REG_SP_INDIRECT:
		if (!walk_word(s->walk, late ? s->sp : s->sp + off, ret))
			return false;
		*ret += late ? off : 0;
		return true;
	case ORC_REG_BP_INDIRECT:
		return walk_word(s->walk, s->bp + off, ret);
	case ORC_REG_R10:
		*ret = s->r10;
		break;
	case ORC_REG_R13:
		*ret = s->r13;
		break;
	case ORC_REG_DI:
		*ret = s->di;
		break;
	case ORC_REG_DX:
		*ret = s->dx;
		break;
	default:
		return walk_end(s->walk, GDUMP_STACK_NO_TABLE, s->ip);
	}
	return s->has_regs || walk_end(s->walk, GDUMP_STACK_NO_TABLE, s->ip);
}

static bool x86_find_bp(struct x86_state *s, const struct orc_entry *e, uint64_t base, uint64_t *ret)
{
	const uint64_t off = (uint64_t)(int64_t)e->bp_off;

	switch (e->bp_reg) {
	case ORC_REG_NONE:
		*ret = s->bp;
		return true;
	case ORC_REG_PREV_SP:
		return walk_word(s->walk, base + off, ret);
	case ORC_REG_BP:
		return walk_word(s->walk, s->bp + off, ret);
	default:
		return walk_end(s->walk, GDUMP_STACK_NO_TABLE, s->ip);
	}
}

static bool x86_step_orc(struct x86_state *s, const struct orc_entry *e)
{
	uint64_t base, bp, ip;

	if (e->type == ORC_END)
		return walk_end(s->walk, GDUMP_STACK_COMPLETE, s->ip);
	if (e->type == ORC_UNDEFINED)
		return x86_leave_undefined(s);
	if (!x86_find_base(s, e, &base) || !x86_find_bp(s, e, base, &bp))
		return false;
	if (e->type == ORC_REGS)
		return x86_enter_regs(s, base, true, bp);
	if (e->type == ORC_REGS_PARTIAL)
		return x86_enter_regs(s, base - REGS_IP, false, bp);
	if (!walk_word(s->walk, base - 8, &ip))
		return false;
	s->has_regs = false;
	s->bp = bp;
	return x86_enter(s, GDUMP_FRAME_CALL, ip, base);
}

static void x86_walk(struct x86_state *s)
{
	/* as if a function at address 0 had been called */
	static const struct orc_entry null_call = { ORC_CALL, ORC_REG_SP, ORC_REG_NONE, 8, 0 };
	struct orc_entry e;
	bool good = true;

	while (good) {
		if (!s->ip)
			good = x86_step_orc(s, &null_call);
		else if (orc_find(s->orc, s->exact ? s->ip : s->ip - 1, &e))
			good = x86_step_orc(s, &e);
		else
			good = x86_step_fp(s);
	}
}

static void x86_sleeping(struct walk *w, const uint64_t *start)
{
	struct x86_state s = { .walk = w, .orc = w->unwind->tables, .first = true };
	const struct btf *btf = &w->unwind->kernel->btf;
	struct btf_field ret_addr, bp;
	const uint64_t frame = start[0];
	struct text_symbol f;

	/* of one that never ran */
	if (!btf_field(btf, "inactive_task_frame", "ret_addr", &ret_addr) ||
	    !btf_field(btf, "inactive_task_frame", "bp", &bp)) {
		walk_end(w, GDUMP_STACK_UNSUPPORTED, 0);
		return;
	}
	if (!walk_move(w, frame) || !walk_word(w, frame + ret_addr.off, &s.ip) ||
	    !walk_word(w, frame + bp.off, &s.bp))
		return;
	s.sp = frame + btf_size(btf, "inactive_task_frame");
	/* a task that never ran begins with the first instruction of a function */
	s.exact = text_at(&w->unwind->text, s.ip, &f) && f.vaddr == s.ip;
	if (walk_move(w, s.sp) &&
	    walk_add(w, s.exact ? GDUMP_FRAME_EXACT : GDUMP_FRAME_CALL, s.ip))
		x86_walk(&s);
}

static void x86_running(struct walk *w, const uint64_t *start)
{
	struct x86_state s = {
		.walk = w, .orc = w->unwind->tables, .first = true, .exact = true, .has_regs = true,
		.ip = start[START_IP], .sp = start[START_SP], .bp = start[START_BP],
		.r10 = start[START_R10], .r13 = start[START_R13], .di = start[START_DI],
		.dx = start[START_DX],
	};

	if (start[START_CS] & 3) {
		if (walk_add(w, GDUMP_FRAME_USER, s.ip))
			walk_end(w, GDUMP_STACK_USER, s.ip);
		return;
	}
	if (walk_move(w, s.sp) && walk_add(w, GDUMP_FRAME_EXACT, s.ip))
		x86_walk(&s);
}

const struct unwinder unwinder_x86_64 = {
	.arch = &arch_x86_64,
	.task_members = { "thread.sp" },
	.registers = { "rip", "rsp", "rbp", "cs", "r10", "r13", "rdi", "rdx" },
	.open = x86_open,
	.close = x86_close,
	.sleeping = x86_sleeping,
	.running = x86_running,
};
