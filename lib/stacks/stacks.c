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
#include "../kernel/tasks.h"
#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "unwind.h"

enum {
	TRIES = 3,                      /* to read the stack of a task that runs */
	USUAL_STACK = 16384,
	MIN_STACK = 4096,
	BLOCKED = 'D',
	STACKS_PER_MEMORY = 4,
};

struct stacks {
	struct kernel kernel;
	struct unwind unwind;
	struct walk walk;
	const struct gdump_stacks_options *opt;
	gdump_stack_fn *fn;
	void *arg;
	struct gdump_task *tasks;
	size_t num_tasks;
	struct gdump_error *full;       /* no memory for more tasks             */
	size_t num_reported;
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
	if (!btf_field(&s->kernel.btf, "task_struct", member, ret) || ret->size > 8)
		ret->size = 0;
}

static struct gdump_error *stacks_open_unwinder(struct stacks *s)
{
	const struct image *image = &s->kernel.source->image;
	struct unwind *u = &s->unwind;

	/* memory may claim more tasks than it has room for stacks */
	for (size_t i = 0; i < image->num_ranges; i++)
		u->budget += STACKS_PER_MEMORY * image->ranges[i].size;
	u->ops = unwinder_of(&s->kernel);
	u->stack_size = stacks_find_size(&s->kernel);
	stacks_find_member(s, "stack", &s->stack);
	stacks_find_member(s, "stack_refcount", &s->stack_refs);
	stacks_find_member(s, "nvcsw", &s->switches[0]);
	stacks_find_member(s, "nivcsw", &s->switches[1]);
	for (; u->ops && u->ops->task_members[s->num_starts]; s->num_starts++)
		stacks_find_member(s, u->ops->task_members[s->num_starts],
				   &s->starts[s->num_starts]);
	return u->ops && u->ops->open ? u->ops->open(u) : NULL;
}

static struct gdump_error *stacks_open(struct stacks *s, struct source *source)
{
	struct gdump_error *err = kernel_open(source, &s->kernel);

	if (err)
		return err;
	if (!s->kernel.symbols.num)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the kernel has no table of symbols that can be read");
	s->unwind.kernel = &s->kernel;
	s->walk.unwind = &s->unwind;
	s->walk.buf = malloc(MAX_STACK);
	s->walk.frames = calloc(MAX_FRAMES, sizeof(*s->walk.frames));
	if (!s->walk.buf || !s->walk.frames)
		return error_nomem();
	err = text_read(&s->kernel, &s->unwind.text);
	return err ? err : stacks_open_unwinder(s);
}

static void stacks_close(struct stacks *s)
{
	if (s->unwind.ops && s->unwind.ops->close)
		s->unwind.ops->close(&s->unwind);
	text_deinit(&s->unwind.text);
	kernel_close(&s->kernel);
	free(s->walk.buf);
	free(s->walk.frames);
	free(s->tasks);
	gdump_error_destroy(s->full);
}

/* Begin a walk on a stack of @task, which may be NULL. */
static void stacks_rewind(struct stacks *s, const struct gdump_task *task)
{
	struct walk *w = &s->walk;

	w->num = 0;
	w->num_visited = 0;
	w->at = w->lo = w->hi = 0;
	w->task_stack = 0;
	if (task && s->stack.size)
		kernel_uint(&s->kernel, task->vaddr + s->stack.off, s->stack.size, &w->task_stack);
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
		kernel_uint(&s->kernel, task->vaddr + s->stack_refs.off, s->stack_refs.size, &refs);
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
		if (!kernel_uint(&s->kernel, task->vaddr + s->starts[i].off, s->starts[i].size,
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
		if (!register_find(&s->kernel.source->image, cpu, ops->registers[i], &start[i])) {
			walk_end(&s->walk, GDUMP_STACK_NO_REGISTERS, 0);
			return;
		}
	}
	if (ops)
		ops->running(&s->walk, start);
	stacks_guess(s);
}

static void stacks_report(struct stacks *s, const struct gdump_task *task, int32_t cpu, bool moved)
{
	const struct gdump_stack stack = {
		.task = task, .cpu = cpu, .moved = moved, .end = (int)s->walk.end,
		.end_at = s->walk.end_at, .frames = s->walk.frames, .num_frames = s->walk.num,
	};

	s->num_reported++;
	s->fn(s->arg, &stack);
}

/* How often the task was scheduled; 0: unknown */
static uint64_t stacks_switches(struct stacks *s, const struct gdump_task *task)
{
	uint64_t sum = 0, num;

	for (unsigned int i = 0; i < ARRAY_SIZE(s->switches); i++) {
		if (s->switches[i].size && kernel_uint(&s->kernel, task->vaddr + s->switches[i].off,
						       s->switches[i].size, &num))
			sum += num;
	}
	return sum;
}

static void stacks_of_sleeping(struct stacks *s, const struct gdump_task *task)
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
	stacks_report(s, task, -1, moved);
}

/* Which stacks ------------------------------------------------------------- */

static bool stacks_wants_cpus(const struct stacks *s)
{
	return s->opt->which == GDUMP_STACKS_IMPORTANT || s->opt->which == GDUMP_STACKS_ALL ||
	       s->opt->which == GDUMP_STACKS_CPU;
}

static bool stacks_wants_cpu(const struct stacks *s, int32_t cpu)
{
	return s->opt->which != GDUMP_STACKS_CPU || s->opt->number == cpu;
}

static bool stacks_wants_task(const struct stacks *s, const struct gdump_task *t)
{
	switch (s->opt->which) {
	case GDUMP_STACKS_ALL:
		/* idle tasks only wait for their CPU */
		return t->pid;
	case GDUMP_STACKS_TASK:
		return t->pid == s->opt->number || t->tgid == s->opt->number;
	case GDUMP_STACKS_CPU:
		return false;
	default:
		return t->state == BLOCKED;
	}
}

static void stacks_take_task(void *arg, const struct gdump_task *task)
{
	struct stacks *s = arg;

	if (s->full)
		return;
	if (ARRAY_GROW(s->tasks, s->num_tasks))
		s->tasks[s->num_tasks++] = *task;
	else
		s->full = error_nomem();
}

/* By number, those that are known to run something or whose registers are known */
static struct gdump_error *stacks_of_cpus(struct stacks *s)
{
	const size_t in_image = s->kernel.source->image.num_cpus;
	const size_t num = MAX(in_image, kernel_max_cpus(&s->kernel));
	const struct gdump_task **running = calloc(num + 1, sizeof(const struct gdump_task *));

	if (!running)
		return error_nomem();
	for (size_t i = 0; i < s->num_tasks; i++) {
		if (s->tasks[i].running_cpu >= 0 && (size_t)s->tasks[i].running_cpu < num)
			running[s->tasks[i].running_cpu] = &s->tasks[i];
	}
	for (size_t i = 0; i < num; i++) {
		if (!stacks_wants_cpu(s, (int32_t)i) || (!running[i] && i >= in_image))
			continue;
		stacks_walk_running(s, running[i], i);
		/* the registers are of an earlier moment than the stack */
		stacks_report(s, running[i], (int32_t)i, s->kernel.source->is_mutable);
	}
	free(running);
	return NULL;
}

static void stacks_of_tasks(struct stacks *s)
{
	for (size_t i = 0; i < s->num_tasks; i++) {
		const struct gdump_task *t = &s->tasks[i];

		if (t->running_cpu < 0) {
			if (stacks_wants_task(s, t))
				stacks_of_sleeping(s, t);
		} else if (s->opt->which == GDUMP_STACKS_TASK && stacks_wants_task(s, t)) {
			stacks_walk_running(s, t, (size_t)t->running_cpu);
			stacks_report(s, t, t->running_cpu, false);
		}
	}
}

static struct gdump_error *stacks_read_all(struct stacks *s)
{
	struct gdump_error *err = tasks_of(&s->kernel, stacks_take_task, s);

	if (!err)
		err = TAKE_PTR(s->full);
	if (stacks_wants_cpus(s)) {
		struct gdump_error *failed = stacks_of_cpus(s);

		if (err)
			gdump_error_destroy(failed);
		else
			err = failed;
	}
	if (err)
		return err;
	stacks_of_tasks(s);
	if (!s->num_reported && s->opt->which == GDUMP_STACKS_TASK)
		return error_new(GDUMP_ERR_USAGE, "there is no task %d", (int)s->opt->number);
	if (!s->num_reported && s->opt->which == GDUMP_STACKS_CPU)
		return error_new(GDUMP_ERR_USAGE, "there is no CPU %d", (int)s->opt->number);
	return NULL;
}

struct gdump_error *stacks_read(struct source *source, const struct gdump_stacks_options *opt,
				gdump_stack_fn *fn, void *arg)
{
	struct stacks s = { .opt = opt, .fn = fn, .arg = arg };
	struct gdump_error *err = stacks_open(&s, source);

	if (!err)
		err = stacks_read_all(&s);
	stacks_close(&s);
	return error_prefix(err, "cannot read the stacks");
}
