/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "report.h"

#include <stdlib.h>
#include <string.h>

#include "../kernel/tasks.h"
#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"

enum {
	SECTION_SIZE = 64 << 20,        /* bytes of facts                       */
	DEFAULT_TIMEOUT_MS = 30000,
};

/* In the order in which they are shown.  The verdict is made last. */
static const struct section *const sections[] = {
	&section_verdict, &section_kernel, &section_cpus, &section_blocked, &section_stalls,
	&section_tasks, &section_memory, &section_map,
	&section_disks, &section_mounts, &section_interfaces, &section_log, &section_modules,
};

const struct section *section_at(size_t i)
{
	return i < ARRAY_SIZE(sections) ? sections[i] : NULL;
}

/* What all sections share --------------------------------------------------- */

static bool report_judges(const char *section)
{
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		if (!strcmp(sections[i]->name, section))
			return !sections[i]->no_verdict;
	}
	return true;
}

void report_problem(struct report *r, const char *section, const char *why)
{
	struct gdump_fact *p = fact_group(r->problems, "problem");

	r->is_blind |= report_judges(section);
	fact_text(p, "section", "%s", section);
	fact_text(p, "text", "%s", why);
}

/* An error that a section can do without: only GDUMP_ERR_NOMEM is still one. */
static struct gdump_error *report_forgive(struct report *r, const char *section,
					  struct gdump_error *err)
{
	if (!err || gdump_error_code(err) == GDUMP_ERR_NOMEM)
		return err;
	report_problem(r, section, gdump_error_message(err));
	gdump_error_destroy(err);
	return NULL;
}

struct report_taker {
	struct report *report;
	bool full;                      /* no memory for more tasks             */
};

static void report_take_task(void *arg, const struct gdump_task *task)
{
	struct report_taker *t = arg;
	struct report *r = t->report;

	t->full |= !ARRAY_GROW(r->tasks, r->num_tasks);
	if (!t->full)
		r->tasks[r->num_tasks++] = *task;
}

static int report_compare_tasks(const void *a, const void *b)
{
	const struct gdump_task *x = a, *y = b;

	return (x->vaddr > y->vaddr) - (x->vaddr < y->vaddr);
}

/* Without tasks, the sections that need them are empty. */
static struct gdump_error *report_read_tasks(struct report *r)
{
	struct report_taker taker = { .report = r };
	struct gdump_error *err = tasks_of(&r->kernel, report_take_task, &taker);

	if (taker.full)
		return error_nomem();
	err = report_forgive(r, section_blocked.name, err);
	if (!err && r->num_tasks)
		qsort(r->tasks, r->num_tasks, sizeof(*r->tasks), report_compare_tasks);
	return err;
}

const struct gdump_task *report_task_at(const struct report *r, uint64_t vaddr)
{
	const struct gdump_task key = { .vaddr = vaddr };

	return r->num_tasks ? bsearch(&key, r->tasks, r->num_tasks, sizeof(key),
				      report_compare_tasks) : NULL;
}

void report_add_task(struct gdump_fact *to, const struct gdump_task *task)
{
	fact_number(to, "pid", (uint64_t)MAX(task->pid, 0), GDUMP_UNIT_NONE);
	fact_number(to, "tgid", (uint64_t)MAX(task->tgid, 0), GDUMP_UNIT_NONE);
	fact_guest_text(to, "name", task->name, sizeof(task->name));
	fact_guest_text(to, "state", &task->state, 1);
}

/* The newest clock of the CPUs' run queues */
static void report_read_clock(struct report *r)
{
	const unsigned int num = kernel_max_cpus(&r->kernel);
	uint64_t rq, ns;

	for (unsigned int cpu = 0; cpu < num; cpu++) {
		if (kernel_uses_cpu(&r->kernel, cpu) &&
		    kernel_percpu(&r->kernel, "runqueues", cpu, &rq) &&
		    kernel_member(&r->kernel, rq, "rq", "clock", &ns))
			r->sched_ns = MAX(r->sched_ns, ns);
	}
}

/* What does not change while the kernel runs.  Only GDUMP_ERR_NOMEM is an error. */
static struct gdump_error *report_open_kernel(struct report *r)
{
	struct gdump_error *err;

	if (!r->source->image.vmcoreinfo)
		return NULL;
	err = tables_choose(r->source, r->opt->tables, &r->own_tables, &r->tables);
	if (err)
		return report_forgive(r, section_kernel.name, err);
	r->has_kernel = true;
	/* the same, with a walker of our own */
	r->kernel = r->tables->kernel;
	walker_init(&r->kernel.walker, &r->tables->kernel.paging, r->source);
	r->stacks = r->tables->stacks;
	if (r->tables->no_stacks)
		report_problem(r, section_kernel.name, r->tables->no_stacks);
	return NULL;
}

/* Read memory for @us more microseconds, and no longer. */
static void report_limit(struct report *r, uint64_t us)
{
	if (!r->has_kernel)
		return;
	r->kernel.walker.deadline_us = clock_us() + us;
	tables_limit(r->tables, r->kernel.walker.deadline_us);
}

static void report_deinit(struct report *r)
{
	if (r->has_kernel) {
		tables_limit(r->tables, 0);
		walker_deinit(&r->kernel.walker);
	}
	gdump_tables_destroy(r->own_tables);
	free(r->tasks);
}

/* The sections -------------------------------------------------------------- */

static struct gdump_error *report_collect(struct report *r, const struct section *s,
					  struct gdump_fact *root, struct gdump_fact *to)
{
	const uint64_t began_us = clock_us();
	struct gdump_error *err;

	if (s->needs_kernel && !r->has_kernel)
		return NULL;
	/* each of those that remain gets the same share of the time that remains */
	report_limit(r, (r->deadline_us - MIN(began_us, r->deadline_us)) / r->num_left--);
	facts_limit(root, SECTION_SIZE);
	err = s->collect(r, to);
	if (facts_limit(root, SECTION_SIZE))
		report_problem(r, s->name, "there is too much of it; the rest is omitted");
	debug_log(&r->source->debug, GDUMP_DEBUG_STEP, "section %s of the report took %.1f ms",
		  s->name, (double)(clock_us() - began_us) / 1000);
	return report_forgive(r, s->name, err);
}

/* Those that are of_moment, or the others; the verdict is a case of its own. */
static struct gdump_error *report_collect_all(struct report *r, struct gdump_fact *root,
					      struct gdump_fact *const *places, bool of_moment)
{
	struct gdump_error *err = NULL;

	for (size_t i = 1; !err && i < ARRAY_SIZE(sections); i++) {
		if (sections[i]->of_moment == of_moment)
			err = report_collect(r, sections[i], root, places[i]);
	}
	return err;
}

/* Collect what is of one moment, resume a guest that was paused for it, collect the rest. */
static struct gdump_error *report_run(struct report *r, struct gdump_fact *root,
				      struct gdump_fact *const *places)
{
	const unsigned int ms = r->opt->timeout_ms ? r->opt->timeout_ms : DEFAULT_TIMEOUT_MS;
	struct gdump_error *err;

	r->deadline_us = clock_us() + (uint64_t)ms * 1000;
	err = report_open_kernel(r);
	if (!err && r->has_kernel) {
		report_limit(r, (uint64_t)ms * 1000 / (ARRAY_SIZE(sections) + 1));
		report_read_clock(r);
		err = report_read_tasks(r);
	}
	if (!err)
		err = report_collect_all(r, root, places, true);
	if (!err)
		err = source_resume(r->source);
	if (!err)
		err = report_collect_all(r, root, places, false);
	if (!err)
		err = report_collect(r, sections[0], root, places[0]);
	return err ? err : facts_check(root);
}

struct gdump_error *report_read(struct source *s, const struct gdump_report_options *opt,
				const struct gdump_fact **ret)
{
	struct report r = { .source = s, .opt = opt, .panic_cpu = -1,
			    .num_left = ARRAY_SIZE(sections) };
	struct gdump_fact *places[ARRAY_SIZE(sections)];
	struct gdump_fact *root;
	struct gdump_error *err = facts_create("report", &root);

	if (err)
		return err;
	facts_limit(root, SECTION_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		places[i] = (sections[i]->is_list ? fact_list : fact_group)(root, sections[i]->name);
	r.verdicts = places[0];
	r.problems = fact_list(root, "problems");
	err = facts_check(root);
	if (!err)
		err = report_run(&r, root, places);
	report_deinit(&r);
	if (err) {
		gdump_fact_destroy(root);
		return err;
	}
	*ret = root;
	return NULL;
}
