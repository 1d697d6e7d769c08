/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_blocked.c - tasks that are blocked, for how long
 *
 * The time since a task ran last is counted by its scheduler: to se.exec_start, in the clock of
 * its CPU's run queue.
 */
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "report.h"

enum { BLOCKED = 'D' };

static const uint64_t blocked_long_ns = 10000000000;

struct blocked_task {
	const struct gdump_task *task;
	uint64_t ns;
};

static uint64_t blocked_for(struct report *r, const struct gdump_task *task)
{
	uint64_t ran;

	if (!r->sched_ns || !kernel_member(&r->kernel, task->vaddr, "task_struct",
					   "se.exec_start", &ran) || ran >= r->sched_ns)
		return 0;
	return r->sched_ns - ran;
}

static int blocked_longest_first(const void *a, const void *b)
{
	const struct blocked_task *x = a, *y = b;

	return (x->ns < y->ns) - (x->ns > y->ns);
}

/* Tasks that wait this way by design, for as long as it takes: in @inner, called by @outer */
static bool blocked_by_design(const struct gdump_stack *stack)
{
	static const struct {
		const char *inner, *outer;
	} ways[] = {
		{ "wait_for_completion", "kernel_clone" },      /* vfork(): until the child has a program */
		{ "__refrigerator", "" },                       /* frozen by a cgroup   */
	};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		bool inner = false, outer = false;

		for (size_t n = 0; n < stack->num_frames; n++) {
			const char *name = stack->frames[n].function;

			inner |= name && !strncmp(name, ways[i].inner, strlen(ways[i].inner));
			outer |= name && !strncmp(name, ways[i].outer, strlen(ways[i].outer));
		}
		if (inner && outer)
			return true;
	}
	return false;
}

static size_t blocked_find(struct report *r, struct blocked_task *list)
{
	size_t num = 0;

	for (size_t i = 0; i < r->num_tasks; i++) {
		const struct gdump_task *t = &r->tasks[i];

		if (t->running_cpu < 0 && t->pid && (t->state == BLOCKED || r->opt->all))
			list[num++] = (struct blocked_task){ t, blocked_for(r, t) };
	}
	qsort(list, num, sizeof(*list), blocked_longest_first);
	return num;
}

/* Add a task; returns whether it is blocked against its will. */
static bool blocked_add(struct report *r, const struct blocked_task *b, struct gdump_fact *to)
{
	struct gdump_fact *group = fact_group(to, "task");
	struct gdump_stack stack = { .num_frames = 0 };

	report_add_task(fact_group(group, "task"), b->task);
	if (r->sched_ns)
		fact_number(group, "blocked", b->ns, GDUMP_UNIT_NS);
	if (r->stacks) {
		stacks_of_task(r->stacks, b->task, &stack);
		fact_stack(group, "stack", &stack);
	}
	return b->task->state == BLOCKED && !blocked_by_design(&stack);
}

static void blocked_judge(struct report *r, size_t num, const struct blocked_task *longest)
{
	struct gdump_fact *v;

	if (!num)
		return;
	v = report_verdict(r, VERDICT_BLOCKED,
			   "%zu task%s blocked for more than 10 s, the longest for %llu s", num,
			   num == 1 ? " is" : "s are", (unsigned long long)(longest->ns / 1000000000));
	verdict_evidence(v, "%s (%d) is in state D", longest->task->name, (int)longest->task->pid);
}

static struct gdump_error *blocked_collect(struct report *r, struct gdump_fact *to)
{
	CLEANUP_FREE struct blocked_task *list = calloc(r->num_tasks + 1, sizeof(*list));
	const struct blocked_task *longest = NULL;
	size_t num, num_long = 0;

	if (!list)
		return error_nomem();
	num = blocked_find(r, list);
	for (size_t i = 0; i < num; i++) {
		if (!blocked_add(r, &list[i], to) || list[i].ns <= blocked_long_ns)
			continue;
		longest = longest ? longest : &list[i];
		num_long++;
	}
	blocked_judge(r, num_long, longest);
	return NULL;
}

const struct section section_blocked = {
	.name = "blocked",
	.is_list = true,
	.needs_kernel = true,
	.of_moment = true,
	.collect = blocked_collect,
};
