/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_blocked.c - tasks that are blocked: for how long, by what, and by whom
 *
 * The time since a task ran last is counted by its scheduler: to se.exec_start, in the clock of
 * its CPU's run queue.
 *
 * Tasks of a guest that runs meanwhile are not all of one moment, so a circle of waits may be
 * none.  It is one if all that wait in it are found to wait for the same a second time, and none
 * of them has run since the first time: when the second round began, all of them slept.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "deadlock.h"
#include "lock_name.h"
#include "waits.h"

enum { BLOCKED = 'D', MAX_CIRCLE_TEXT = 512, MAX_CIRCLES = 16 };

static const uint64_t blocked_long_ns = 10000000000;

/* A task that is shown */
struct blocked_task {
	const struct gdump_task *task;
	uint64_t ns, ran;               /* since it ran; when it did            */
	struct wait wait;
	bool by_design;
};

struct blocked {
	struct report *report;
	struct waits *waits;
	struct blocked_task *list;      /* the longest first                    */
	size_t num;
	size_t *of_task;                /* by the number of a task of the report: its place in
					 * list, plus one; 0: it is not there   */
};

/* When a task ran last, as its scheduler counts; false: unknown. */
static bool blocked_ran(struct report *r, const struct gdump_task *task, uint64_t *ret)
{
	return kernel_member(&r->kernel, task->vaddr, "task_struct", "se.exec_start", ret);
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

/* Those in state D, those that wait for a lock in another state, and with "all" the others */
static void blocked_find(struct blocked *b)
{
	struct report *r = b->report;

	for (size_t i = 0; i < r->num_tasks; i++) {
		const struct gdump_task *t = &r->tasks[i];
		struct blocked_task *to = &b->list[b->num];

		*to = (struct blocked_task){ .task = t };
		if (t->running_cpu >= 0 || !t->pid ||
		    (!wait_by_task(b->waits, t, &to->wait) && t->state != BLOCKED && !r->opt->all))
			continue;
		if (blocked_ran(r, t, &to->ran) && to->ran < r->sched_ns)
			to->ns = r->sched_ns - to->ran;
		b->num++;
	}
	qsort(b->list, b->num, sizeof(*b->list), blocked_longest_first);
	for (size_t i = 0; i < b->num; i++)
		b->of_task[b->list[i].task - r->tasks] = i + 1;
}

static void blocked_add_wait(struct report *r, const struct wait *wait, struct gdump_fact *to)
{
	struct gdump_fact *group = wait->kind ? fact_group(to, "waits_for") : NULL;
	const struct gdump_task *owner = wait->owner ? report_task_at(r, wait->owner) : NULL;
	char name[LOCK_NAME];

	if (!group)
		return;
	fact_text(group, "kind", "%s", wait_word(wait->kind));
	fact_text(group, "text", "%s", wait_text(wait->kind));
	if (wait->lock)
		fact_address(group, "address", wait->lock);
	if (wait->lock && lock_describe(r, wait, name))
		fact_guest_text(group, "lock", name, sizeof(name));
	if (!owner)
		return;
	report_add_task(fact_group(group, "holder"), owner);
	if (wait->owner_may_be_gone)
		fact_flag(group, "holder_is_last_reader", true);
}

static void blocked_add(struct blocked *b, struct blocked_task *t, struct gdump_fact *to)
{
	struct report *r = b->report;
	struct gdump_fact *group = fact_group(to, "task");
	struct gdump_stack stack = { .num_frames = 0 };

	report_add_task(fact_group(group, "task"), t->task);
	if (r->sched_ns)
		fact_number(group, "blocked", t->ns, GDUMP_UNIT_NS);
	if (!r->stacks)
		return;
	stacks_of_task(r->stacks, t->task, &stack);
	if (t->task->state == BLOCKED)
		wait_find(b->waits, t->task, &stack, &t->wait);
	t->by_design = blocked_by_design(&stack);
	blocked_add_wait(r, &t->wait, group);
	fact_stack(group, "stack", &stack);
}

/* Who holds something, and is in the list only for that: what it does instead */
static void blocked_add_holder(struct report *r, const struct gdump_task *task,
			       struct gdump_fact *to)
{
	struct gdump_fact *group = fact_group(to, "task");
	struct gdump_stack stack;

	report_add_task(fact_group(group, "task"), task);
	fact_flag(group, "is_holder", true);
	if (!r->stacks)
		return;
	if (task->running_cpu < 0)
		stacks_of_task(r->stacks, task, &stack);
	else
		stacks_of_cpu(r->stacks, task, (size_t)task->running_cpu, &stack);
	fact_stack(group, "stack", &stack);
}

static void blocked_add_holders(struct blocked *b, struct gdump_fact *to)
{
	struct report *r = b->report;

	for (size_t i = 0; i < b->num; i++) {
		const struct gdump_task *owner = report_task_at(r, b->list[i].wait.owner);

		if (!owner || b->of_task[owner - r->tasks])
			continue;
		b->of_task[owner - r->tasks] = b->num + 1;
		blocked_add_holder(r, owner, to);
	}
}

/* Circles -------------------------------------------------------------------- */

/* The place in the list of the one that a task waits for, if that is certain */
static size_t blocked_by(const struct blocked *b, size_t i)
{
	const struct wait *wait = &b->list[i].wait;
	const struct gdump_task *owner = wait->owner && !wait->owner_may_be_gone
						 ? report_task_at(b->report, wait->owner) : NULL;
	const size_t place = owner ? b->of_task[owner - b->report->tasks] : 0;

	return place && place <= b->num ? place - 1 : DEADLOCK_NONE;
}

static bool blocked_still_waits(struct blocked *b, const struct blocked_task *t)
{
	struct gdump_stack stack;
	struct wait again;
	uint64_t ran;

	if (!b->report->source->is_mutable)
		return true;
	if (!wait_by_task(b->waits, t->task, &again)) {
		stacks_of_task(b->report->stacks, t->task, &stack);
		wait_find(b->waits, t->task, &stack, &again);
	}
	return again.kind == t->wait.kind && again.lock == t->wait.lock &&
	       again.owner == t->wait.owner && blocked_ran(b->report, t->task, &ran) && ran == t->ran;
}

/* "NAME (PID) is in state D and waits for the mutex LOCK at ADDRESS, which NAME (PID) holds" */
static void blocked_prove(struct blocked *b, struct gdump_fact *verdict,
			  const struct blocked_task *t, const struct gdump_task *holder)
{
	char lock[LOCK_NAME + 64] = "", name[LOCK_NAME], held[128] = "";

	if (t->wait.lock && lock_describe(b->report, &t->wait, name))
		snprintf(lock, sizeof(lock), " %s at 0x%llx", name, (unsigned long long)t->wait.lock);
	else if (t->wait.lock)
		snprintf(lock, sizeof(lock), " at 0x%llx", (unsigned long long)t->wait.lock);
	if (holder)
		snprintf(held, sizeof(held), ", which %s (%d) holds", holder->name, (int)holder->pid);
	verdict_evidence(verdict, "%s (%d) is in state %c%s%s%s%s", t->task->name, (int)t->task->pid,
			 t->task->state, t->wait.kind ? " and waits for " : "",
			 t->wait.kind ? wait_text(t->wait.kind) : "", lock, held);
}

static void blocked_judge_circle(struct blocked *b, const size_t *by, size_t start)
{
	char text[MAX_CIRCLE_TEXT] = "";
	struct gdump_fact *v;
	size_t at = start, len = 0;

	do {
		const struct gdump_task *t = b->list[at].task;

		if (!blocked_still_waits(b, &b->list[at]))
			return;
		if (len < sizeof(text))
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s (%d) -> ", t->name,
						(int)t->pid);
		at = by[at];
	} while (at != start);
	v = report_verdict(b->report, VERDICT_DEADLOCK, "DEADLOCK: %s%s (%d)", text,
			   b->list[start].task->name, (int)b->list[start].task->pid);
	do {
		blocked_prove(b, v, &b->list[at], b->list[by[at]].task);
		at = by[at];
	} while (at != start);
}

static struct gdump_error *blocked_judge_circles(struct blocked *b)
{
	size_t *by = calloc(b->num + 1, sizeof(*by)), *mark = calloc(b->num + 1, sizeof(*mark));
	size_t from = 0, start;

	if (!by || !mark) {
		free(by);
		free(mark);
		return error_nomem();
	}
	for (size_t i = 0; i < b->num; i++)
		by[i] = blocked_by(b, i);
	for (unsigned int i = 0; i < MAX_CIRCLES; i++) {
		start = deadlock_next(by, b->num, mark, &from);
		if (start == DEADLOCK_NONE)
			break;
		blocked_judge_circle(b, by, start);
	}
	free(by);
	free(mark);
	return NULL;
}

/* The section ----------------------------------------------------------------- */

static void blocked_judge(struct blocked *b)
{
	const struct blocked_task *longest = NULL;
	struct gdump_fact *v;
	size_t num = 0;

	for (size_t i = 0; i < b->num; i++) {
		const struct blocked_task *t = &b->list[i];

		if (t->ns <= blocked_long_ns || t->task->state != BLOCKED || t->by_design)
			continue;
		longest = longest ? longest : t;
		num++;
	}
	if (!longest)
		return;
	v = report_verdict(b->report, VERDICT_BLOCKED,
			   "%zu task%s blocked for more than 10 s, the longest for %llu s", num,
			   num == 1 ? " is" : "s are", (unsigned long long)(longest->ns / 1000000000));
	blocked_prove(b, v, longest, longest->wait.owner_may_be_gone ? NULL :
		      report_task_at(b->report, longest->wait.owner));
}

/* Tasks that wait for an NFS server: for the one of the longest wait */
static void blocked_judge_nfs(struct blocked *b)
{
	char server[LOCK_NAME], name[LOCK_NAME];
	const struct blocked_task *longest = NULL;
	size_t num = 0;

	for (size_t i = 0; i < b->num; i++) {
		const struct blocked_task *t = &b->list[i];

		if (t->ns <= blocked_long_ns || t->wait.kind != WAIT_NFS ||
		    !lock_describe(b->report, &t->wait, longest ? name : server) ||
		    (longest && strcmp(name, server)))
			continue;
		longest = longest ? longest : t;
		num++;
	}
	if (!longest)
		return;
	blocked_prove(b, report_verdict(b->report, VERDICT_NFS,
					"%zu task%s for the NFS server %s, the longest for %llu s", num,
					num == 1 ? " waits" : "s wait", server,
					(unsigned long long)(longest->ns / 1000000000)),
		      longest, NULL);
}

static struct gdump_error *blocked_open(struct blocked *b, struct report *r)
{
	*b = (struct blocked){ .report = r };
	b->list = calloc(r->num_tasks + 1, sizeof(*b->list));
	b->of_task = calloc(r->num_tasks + 1, sizeof(*b->of_task));
	return b->list && b->of_task ? waits_create(r, &b->waits) : error_nomem();
}

static struct gdump_error *blocked_collect(struct report *r, struct gdump_fact *to)
{
	struct blocked b;
	struct gdump_error *err = blocked_open(&b, r);

	if (!err) {
		blocked_find(&b);
		for (size_t i = 0; i < b.num; i++)
			blocked_add(&b, &b.list[i], to);
		blocked_add_holders(&b, to);
		blocked_judge(&b);
		blocked_judge_nfs(&b);
		err = blocked_judge_circles(&b);
	}
	waits_destroy(b.waits);
	free(b.list);
	free(b.of_task);
	return err;
}

const struct section section_blocked = {
	.name = "blocked",
	.is_list = true,
	.needs_kernel = true,
	.of_moment = true,
	.collect = blocked_collect,
};
