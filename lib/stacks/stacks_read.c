/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "stacks_read.h"

#include <stdlib.h>

#include "../kernel/tasks.h"
#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "tables.h"

enum { BLOCKED = 'D' };

struct stacks_job {
	struct gdump_tables *tables;
	const struct gdump_stacks_options *opt;
	gdump_stack_fn *fn;
	void *arg;
	struct gdump_task *tasks;
	size_t num_tasks;
	struct gdump_error *full;       /* no memory for more tasks             */
	size_t num_reported;
};

static bool stacks_job_wants_cpus(const struct stacks_job *j)
{
	return j->opt->which == GDUMP_STACKS_IMPORTANT || j->opt->which == GDUMP_STACKS_ALL ||
	       j->opt->which == GDUMP_STACKS_CPU;
}

static bool stacks_job_wants_cpu(const struct stacks_job *j, int32_t cpu)
{
	return j->opt->which != GDUMP_STACKS_CPU || j->opt->number == cpu;
}

static bool stacks_job_wants_task(const struct stacks_job *j, const struct gdump_task *t)
{
	switch (j->opt->which) {
	case GDUMP_STACKS_ALL:
		/* idle tasks only wait for their CPU */
		return t->pid;
	case GDUMP_STACKS_TASK:
		return t->pid == j->opt->number || t->tgid == j->opt->number;
	case GDUMP_STACKS_CPU:
		return false;
	default:
		return t->state == BLOCKED;
	}
}

static void stacks_job_take_task(void *arg, const struct gdump_task *task)
{
	struct stacks_job *j = arg;

	if (j->full)
		return;
	if (ARRAY_GROW(j->tasks, j->num_tasks))
		j->tasks[j->num_tasks++] = *task;
	else
		j->full = error_nomem();
}

static void stacks_job_report(struct stacks_job *j, const struct gdump_stack *stack)
{
	j->num_reported++;
	j->fn(j->arg, stack);
}

/* By number, those that are known to run something or whose registers are known */
static struct gdump_error *stacks_job_cpus(struct stacks_job *j)
{
	const size_t in_image = j->tables->kernel.source->image.num_cpus;
	const size_t num = MAX(in_image, kernel_max_cpus(&j->tables->kernel));
	const struct gdump_task **running = calloc(num + 1, sizeof(const struct gdump_task *));
	struct gdump_stack stack;

	if (!running)
		return error_nomem();
	for (size_t i = 0; i < j->num_tasks; i++) {
		if (j->tasks[i].running_cpu >= 0 && (size_t)j->tasks[i].running_cpu < num)
			running[j->tasks[i].running_cpu] = &j->tasks[i];
	}
	for (size_t i = 0; i < num; i++) {
		if (!stacks_job_wants_cpu(j, (int32_t)i) || (!running[i] && i >= in_image))
			continue;
		stacks_of_cpu(j->tables->stacks, running[i], i, &stack);
		stacks_job_report(j, &stack);
	}
	free(running);
	return NULL;
}

static void stacks_job_tasks(struct stacks_job *j)
{
	struct gdump_stack stack;

	for (size_t i = 0; i < j->num_tasks; i++) {
		const struct gdump_task *t = &j->tasks[i];

		if (!stacks_job_wants_task(j, t))
			continue;
		if (t->running_cpu < 0)
			stacks_of_task(j->tables->stacks, t, &stack);
		else if (j->opt->which == GDUMP_STACKS_TASK)
			stacks_of_cpu(j->tables->stacks, t, (size_t)t->running_cpu, &stack);
		else
			continue;
		stacks_job_report(j, &stack);
	}
}

static struct gdump_error *stacks_job_run(struct stacks_job *j)
{
	struct gdump_error *err = tasks_of(&j->tables->kernel, stacks_job_take_task, j);

	if (!err)
		err = TAKE_PTR(j->full);
	if (stacks_job_wants_cpus(j)) {
		struct gdump_error *failed = stacks_job_cpus(j);

		if (err)
			gdump_error_destroy(failed);
		else
			err = failed;
	}
	if (err)
		return err;
	stacks_job_tasks(j);
	if (!j->num_reported && j->opt->which == GDUMP_STACKS_TASK)
		return error_new(GDUMP_ERR_USAGE, "there is no task %d", (int)j->opt->number);
	if (!j->num_reported && j->opt->which == GDUMP_STACKS_CPU)
		return error_new(GDUMP_ERR_USAGE, "there is no CPU %d", (int)j->opt->number);
	return NULL;
}

struct gdump_error *stacks_read(struct source *source, const struct gdump_stacks_options *opt,
				gdump_stack_fn *fn, void *arg)
{
	struct stacks_job j = { .opt = opt, .fn = fn, .arg = arg };
	struct gdump_tables *own;
	struct gdump_error *err = tables_choose(source, opt->tables, &own, &j.tables);

	if (!err && j.tables->no_stacks)
		err = error_new(GDUMP_ERR_UNSUPPORTED, "%s", j.tables->no_stacks);
	if (!err)
		err = stacks_job_run(&j);
	gdump_tables_destroy(own);
	free(j.tasks);
	gdump_error_destroy(j.full);
	return error_prefix(err, "cannot read the stacks");
}
