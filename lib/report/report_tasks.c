/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_tasks.c - how many tasks there are, and whether there can be more
 */
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "report.h"

enum { TOP = 5, NEARLY = 32 };          /* a 32nd part remains */

static int tasks_compare_names(const void *a, const void *b)
{
	const struct gdump_task *const *x = a, *const *y = b;

	return strncmp((*x)->name, (*y)->name, sizeof((*x)->name));
}

/* Names that several tasks have, the most frequent ones first */
struct tasks_names {
	struct { const struct gdump_task *task; size_t num; } top[TOP];
	size_t num;
};

static void tasks_take_name(struct tasks_names *n, const struct gdump_task *task, size_t num)
{
	size_t i = n->num;

	if (i < TOP)
		n->num++;
	else if (n->top[--i].num >= num)
		return;
	for (; i && n->top[i - 1].num < num; i--)
		n->top[i] = n->top[i - 1];
	n->top[i].task = task;
	n->top[i].num = num;
}

static struct gdump_error *tasks_count_names(const struct report *r, struct tasks_names *ret)
{
	const struct gdump_task **sorted = calloc(r->num_tasks + 1, sizeof(*sorted));

	*ret = (struct tasks_names){ .num = 0 };
	if (!sorted)
		return error_nomem();
	for (size_t i = 0; i < r->num_tasks; i++)
		sorted[i] = &r->tasks[i];
	qsort(sorted, r->num_tasks, sizeof(*sorted), tasks_compare_names);
	for (size_t i = 0, n; i < r->num_tasks; i += n) {
		n = 1;
		while (i + n < r->num_tasks && !tasks_compare_names(&sorted[i], &sorted[i + n]))
			n++;
		if (n > 1)
			tasks_take_name(ret, sorted[i], n);
	}
	free(sorted);
	return NULL;
}

static void tasks_add_states(const struct report *r, struct gdump_fact *to)
{
	struct gdump_fact *list = fact_list(to, "states");
	size_t nums[256] = { 0 };

	for (size_t i = 0; i < r->num_tasks; i++)
		nums[(unsigned char)r->tasks[i].state]++;
	for (unsigned int c = 1; c < ARRAY_SIZE(nums); c++) {
		const char letter = (char)c;
		struct gdump_fact *row;

		if (!nums[c])
			continue;
		row = fact_group(list, "state");
		fact_guest_text(row, "state", &letter, 1);
		fact_number(row, "tasks", nums[c], GDUMP_UNIT_NONE);
	}
}

static void tasks_add_names(const struct tasks_names *n, struct gdump_fact *to)
{
	struct gdump_fact *list = fact_list(to, "names");

	for (size_t i = 0; i < n->num; i++) {
		struct gdump_fact *row = fact_group(list, "name");

		fact_guest_text(row, "name", n->top[i].task->name, sizeof(n->top[i].task->name));
		fact_number(row, "tasks", n->top[i].num, GDUMP_UNIT_NONE);
	}
}

/* A limit of the number of tasks; 0: unknown. */
static uint64_t tasks_limit(struct report *r, const char *symbol)
{
	const uint64_t vaddr = kernel_symbol(&r->kernel, symbol);
	uint64_t limit;

	return vaddr && kernel_uint(&r->kernel, vaddr, 4, &limit) ? limit : 0;
}

static void tasks_judge(struct report *r, uint64_t num, const char *symbol, uint64_t limit,
			const struct tasks_names *n)
{
	struct gdump_fact *v;

	if (!limit || num < limit - limit / NEARLY)
		return;
	v = report_verdict(r, VERDICT_TASKS, "there are %llu tasks, and can be %llu",
			   (unsigned long long)num, (unsigned long long)limit);
	verdict_evidence(v, "the kernel's nr_threads is %llu, and its %s is %llu", (unsigned long long)num,
			 symbol, (unsigned long long)limit);
	if (n->num)
		verdict_evidence(v, "%zu of them have the name %.*s", n->top[0].num,
				 (int)sizeof(n->top[0].task->name), n->top[0].task->name);
}

static struct gdump_error *tasks_collect(struct report *r, struct gdump_fact *to)
{
	const uint64_t num = tasks_limit(r, "nr_threads"), max = tasks_limit(r, "max_threads");
	struct tasks_names names;
	struct gdump_error *err;

	if (!r->num_tasks)
		return NULL;
	err = tasks_count_names(r, &names);
	if (err)
		return err;
	fact_number(to, "number", r->num_tasks, GDUMP_UNIT_NONE);
	if (max)
		fact_number(to, "limit", max, GDUMP_UNIT_NONE);
	tasks_add_states(r, to);
	tasks_add_names(&names, to);
	tasks_judge(r, num, "max_threads", max, &names);
	/* also of the first PID namespace, since Linux 6.14 */
	tasks_judge(r, num, "pid_max", tasks_limit(r, "pid_max"), &names);
	return NULL;
}

const struct section section_tasks = {
	.name = "tasks",
	.needs_kernel = true,
	.of_moment = true,
	.collect = tasks_collect,
};
