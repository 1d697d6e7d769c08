/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * unwind.h - walk a stack of the guest's kernel
 *
 * Each architecture is one row, a struct unwinder in a file of its own.  It knows where a
 * stack begins and how one frame leads to the next one.  struct walk is what it works on, and
 * keeps it from going astray: a stack may contain anything, and may change while it is read.
 * A walk only goes up within a stack, enters a few stacks, none twice, and ends after
 * MAX_FRAMES.  So every walk ends.
 *
 * Functions that return false have set the end of the walk; the unwinder returns then.
 */
#pragma once

#include "../kernel/kernel_text.h"

enum { MAX_STACK = 65536, MAX_FRAMES = 256, MAX_STACKS = 8, MAX_STARTS = 10 };

struct unwinder;

/* What all walks share */
struct unwind {
	struct kernel *kernel;
	struct text text;
	const struct unwinder *ops;     /* NULL: none for this machine          */
	void *tables;                   /* of ops->open()                       */
	uint64_t stack_size;            /* of a task                            */
	uint64_t budget;                /* bytes of stacks that may yet be read */
};

struct walk {
	struct unwind *unwind;
	uint64_t task_stack;            /* the lowest address; 0: unknown       */
	/* The stack where the walk is: [lo, hi) was read to buf */
	uint64_t lo, hi;
	unsigned char *buf;             /* MAX_STACK bytes                      */
	uint64_t at;                    /* the stack or frame pointer           */
	struct { uint64_t lo, hi; } visited[MAX_STACKS];
	unsigned int num_visited;
	struct gdump_frame *frames;     /* MAX_FRAMES                           */
	size_t num;
	enum gdump_stack_end end;
	uint64_t end_at;
};

struct unwinder {
	const struct arch *arch;
	/* Members of task_struct by which a task that sleeps begins, as paths; and general
	 * registers by which a running CPU does.  Both end with a NULL.
	 */
	const char *task_members[MAX_STARTS];
	const char *registers[MAX_STARTS];
	/* Read tables to u->tables, and free them.  Both may be NULL.  Only GDUMP_ERR_NOMEM is
	 * an error: without tables, frames are guessed.
	 */
	struct gdump_error *(*open)(struct unwind *u);
	void (*close)(struct unwind *u);
	/* Walk from the values of task_members or registers. */
	void (*sleeping)(struct walk *w, const uint64_t *start);
	void (*running)(struct walk *w, const uint64_t *start);
};

/* The row for the machine of the kernel, or NULL */
const struct unwinder *unwinder_of(const struct kernel *k);

/* Set the end. Returns false. */
bool walk_end(struct walk *w, enum gdump_stack_end end, uint64_t at);
/* Add a frame at the current place. */
bool walk_add(struct walk *w, enum gdump_frame_kind kind, uint64_t pc);
/* Go to @at: further up this stack, or to another one. */
bool walk_move(struct walk *w, uint64_t at);
/* Read a word, from this stack or elsewhere. */
bool walk_word(struct walk *w, uint64_t vaddr, uint64_t *ret);
/* Whether @pc can be a return address. */
bool walk_is_return(const struct walk *w, uint64_t pc);
/* Add all addresses from here to the top of the stack that can be return addresses. */
void walk_scan(struct walk *w);

extern const struct unwinder unwinder_x86_64, unwinder_aarch64, unwinder_riscv64, unwinder_s390x,
	unwinder_ppc64;
