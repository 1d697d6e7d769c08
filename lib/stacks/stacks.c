/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * stacks.c - the stacks of the guest's tasks and CPUs
 *
 * A task that sleeps has saved its registers in its task_struct; those of a running one are in
 * the notes of the image.  In a running guest a task may run between two reads of ours: it
 * counts its switches, so that is seen, and its stack is read again.
 */
#include "stacks.h"

#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "unwind.h"

enum {
	TRIES = 3,                      /* to read the stack of a task that runs */
	USUAL_STACK = 16384,
	MIN_STACK = 4096,
	STACKS_PER_MEMORY = 4,
};

struct stacks {
	struct kernel *kernel;
	struct unwind unwind;
	struct walk walk;
	/* in task_struct; size 0: there is no such member */
	struct btf_field stack, stack_refs, switches[2], starts[MAX_STARTS];
	unsigned int num_starts;
};

static uint64_t stacks_find_size(const struct kernel *k)
{
	static const char *const symbols[][2] = {
		{ "__start_init_task", "__end_init_task" },
		{ "__start_init_stack", "__end_init_stack" },
	};
	uint64_t size = 0;

	for (size_t i = 0; !size && i < ARRAY_SIZE(symbols); i++)
		size = kernel_symbol(k, symbols[i][1]) - kernel_symbol(k, symbols[i][0]);
	if (!size)
		size = btf_size(&k->btf, "thread_union");
	return is_power_of_2(size) && size >= MIN_STACK && size <= MAX_STACK ? size : USUAL_STACK;
}

static void stacks_find_member(struct stacks *s, const char *member, struct btf_field *ret)
{
	if (!btf_field(&s->kernel->btf, "task_struct", member, ret) || ret->size > 8)
		ret->size = 0;
}

static struct gdump_error *stacks_open_unwinder(struct stacks *s)
{
	const struct image *image = &s->kernel->source->image;
	struct unwind *u = &s->unwind;

	/* memory may claim more tasks than it has room for stacks */
	for (size_t i = 0; i < image->num_ranges; i++)
		u->budget += STACKS_PER_MEMORY * image->ranges[i].size;
	u->ops = unwinder_of(s->kernel);
	u->stack_size = stacks_find_size(s->kernel);
	stacks_find_member(s, "stack", &s->stack);
	stacks_find_member(s, "stack_refcount", &s->stack_refs);
	stacks_find_member(s, "nvcsw", &s->switches[0]);
	stacks_find_member(s, "nivcsw", &s->switches[1]);
	for (; u->ops && u->ops->task_members[s->num_starts]; s->num_starts++)
		stacks_find_member(s, u->ops->task_members[s->num_starts],
				   &s->starts[s->num_starts]);
	return u->ops && u->ops->open ? u->ops->open(u) : NULL;
}

void stacks_close(struct stacks *s)
{
	if (!s)
		return;
	if (s->unwind.ops && s->unwind.ops->close)
		s->unwind.ops->close(&s->unwind);
	text_deinit(&s->unwind.text);
	free(s->walk.buf);
	free(s->walk.frames);
	free(s);
}

struct gdump_error *stacks_open(struct kernel *k, struct stacks **ret)
{
	struct gdump_error *err = NULL;
	struct stacks *s;

	if (!k->symbols.num)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the kernel has no table of symbols that can be read");
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_nomem();
	s->kernel = k;
	s->unwind.kernel = k;
	s->walk.unwind = &s->unwind;
	s->walk.buf = malloc(MAX_STACK);
	s->walk.frames = calloc(MAX_FRAMES, sizeof(*s->walk.frames));
	err = s->walk.buf && s->walk.frames ? text_read(k, &s->unwind.text) : error_nomem();
	if (!err)
		err = stacks_open_unwinder(s);
	if (err) {
		stacks_close(s);
		return err;
	}
	*ret = s;
	return NULL;
}

const struct text *stacks_text(const struct stacks *s)
{
	return &s->unwind.text;
}

bool stacks_range(struct stacks *s, const struct gdump_task *task, uint64_t *lo, uint64_t *hi)
{
	if (!s->stack.size ||
	    !kernel_uint(s->kernel, task->vaddr + s->stack.off, s->stack.size, lo) || !*lo)
		return false;
	*hi = *lo + s->unwind.stack_size;
	return *hi > *lo;
}

/* Begin a walk on a stack of @task, which may be NULL. */
static void stacks_rewind(struct stacks *s, const struct gdump_task *task)
{
	struct walk *w = &s->walk;
	uint64_t top;

	w->num = 0;
	w->num_visited = 0;
	w->at = w->lo = w->hi = 0;
	if (!task || !stacks_range(s, task, &w->task_stack, &top))
		w->task_stack = 0;
	walk_end(w, GDUMP_STACK_UNSUPPORTED, 0);
}

/* If there is not even a caller, guess. */
static void stacks_guess(struct stacks *s)
{
	struct walk *w = &s->walk;

	if (w->end == GDUMP_STACK_COMPLETE || w->end == GDUMP_STACK_USER || w->num > 1)
		return;
	walk_scan(w);
}

static bool stacks_has_stack(struct stacks *s, const struct gdump_task *task)
{
	uint64_t refs = 1;

	if (s->stack_refs.size)
		kernel_uint(s->kernel, task->vaddr + s->stack_refs.off, s->stack_refs.size, &refs);
	return refs && s->walk.task_stack;
}

static void stacks_walk_sleeping(struct stacks *s, const struct gdump_task *task)
{
	uint64_t start[MAX_STARTS] = { 0 };

	stacks_rewind(s, task);
	if (!stacks_has_stack(s, task)) {
		walk_end(&s->walk, GDUMP_STACK_NONE, 0);
		return;
	}
	for (unsigned int i = 0; i < s->num_starts; i++) {
		if (!s->starts[i].size)
			return;
		if (!kernel_uint(s->kernel, task->vaddr + s->starts[i].off, s->starts[i].size,
				 &start[i])) {
			walk_end(&s->walk, GDUMP_STACK_UNREADABLE, task->vaddr);
			return;
		}
	}
	if (s->unwind.ops)
		s->unwind.ops->sleeping(&s->walk, start);
	stacks_guess(s);
}

static void stacks_walk_running(struct stacks *s, const struct gdump_task *task, size_t cpu)
{
	const struct unwinder *ops = s->unwind.ops;
	uint64_t start[MAX_STARTS] = { 0 };

	stacks_rewind(s, task);
	for (size_t i = 0; ops && ops->registers[i]; i++) {
		if (!register_find(&s->kernel->source->image, cpu, ops->registers[i], &start[i])) {
			walk_end(&s->walk, GDUMP_STACK_NO_REGISTERS, 0);
			return;
		}
	}
	if (ops)
		ops->running(&s->walk, start);
	stacks_guess(s);
}

static void stacks_fill(const struct stacks *s, const struct gdump_task *task, int32_t cpu,
			bool moved, struct gdump_stack *ret)
{
	*ret = (struct gdump_stack){
		.task = task, .cpu = cpu, .moved = moved, .end = (int)s->walk.end,
		.end_at = s->walk.end_at, .frames = s->walk.frames, .num_frames = s->walk.num,
	};
}

/* How often the task was scheduled; 0: unknown */
static uint64_t stacks_switches(struct stacks *s, const struct gdump_task *task)
{
	uint64_t sum = 0, num;

	for (unsigned int i = 0; i < ARRAY_SIZE(s->switches); i++) {
		if (s->switches[i].size && kernel_uint(s->kernel, task->vaddr + s->switches[i].off,
						       s->switches[i].size, &num))
			sum += num;
	}
	return sum;
}

void stacks_of_task(struct stacks *s, const struct gdump_task *task, struct gdump_stack *ret)
{
	uint64_t before = stacks_switches(s, task);
	bool moved = true;

	for (unsigned int i = 0; moved && i < TRIES; i++) {
		uint64_t after;

		stacks_walk_sleeping(s, task);
		after = stacks_switches(s, task);
		moved = after != before;
		before = after;
	}
	stacks_fill(s, task, -1, moved, ret);
}

void stacks_of_cpu(struct stacks *s, const struct gdump_task *task, size_t cpu,
		   struct gdump_stack *ret)
{
	stacks_walk_running(s, task, cpu);
	/* the registers are of an earlier moment than the stack */
	stacks_fill(s, task, (int32_t)cpu, s->kernel->source->is_mutable, ret);
}
