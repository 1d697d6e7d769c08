/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_cpus.c - what the CPUs are doing, and whether they are locked up
 *
 * Lockups are found as the kernel's own watchdogs do, by the numbers that these keep: a CPU that
 * takes no interrupts has a timer that is overdue; one that does not schedule has not run the
 * watchdog's thread for long.
 *
 * Facts: Linux's kernel/watchdog.c and include/linux/hrtimer.h.
 */
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../kernel/state.h"
#include "../util/bits.h"
#include "crash_kernel.h"

enum { SIGNATURE = 8, USUAL_THRESH = 10, MAX_THRESH = 60, SOFT_WATCHDOG = 2 };

static const uint64_t cpus_second = 1000000000;

struct cpus {
	struct report *report;
	bool knows_time;
	uint64_t now_ns;                /* CLOCK_MONOTONIC                      */
	uint64_t thresh;                /* seconds: of a hard lockup; twice that: of a soft one */
	bool soft_watchdog;             /* it is on                             */
	const struct gdump_task **tasks;        /* by CPU: what it runs, or NULL */
	unsigned int num;               /* CPUs                                 */
};

/* Read a variable; 0: it cannot be read. */
static uint64_t cpus_variable(struct report *r, const char *symbol, uint32_t size)
{
	const uint64_t vaddr = kernel_symbol(&r->kernel, symbol);
	uint64_t value;

	return vaddr && kernel_uint(&r->kernel, vaddr, size, &value) ? value : 0;
}

static struct gdump_error *cpus_find_tasks(struct cpus *c)
{
	struct report *r = c->report;

	c->num = MAX((unsigned int)r->source->image.num_cpus, kernel_max_cpus(&r->kernel));
	c->tasks = calloc(c->num + 1, sizeof(*c->tasks));
	if (!c->tasks)
		return error_nomem();
	for (size_t i = 0; i < r->num_tasks; i++) {
		const int32_t cpu = r->tasks[i].running_cpu;

		if (cpu >= 0 && (unsigned int)cpu < c->num)
			c->tasks[cpu] = &r->tasks[i];
	}
	return NULL;
}

static struct gdump_error *cpus_init(struct cpus *c, struct report *r)
{
	*c = (struct cpus){ .report = r };
	c->knows_time = state_monotonic_ns(&r->kernel, &c->now_ns);
	c->thresh = cpus_variable(r, "watchdog_thresh", 4);
	if (!c->thresh || c->thresh > MAX_THRESH)
		c->thresh = USUAL_THRESH;
	c->soft_watchdog = cpus_variable(r, "watchdog_enabled", 8) & SOFT_WATCHDOG;
	return cpus_find_tasks(c);
}

static const char *cpus_mode(const struct gdump_stack *stack)
{
	if (stack->num_frames && stack->frames[0].kind == GDUMP_FRAME_USER)
		return "user";
	return stack->task && !stack->task->pid ? "idle" : "kernel";
}

/* By how many seconds the next timer interrupt of a CPU is overdue; 0: it is not. */
static uint64_t cpus_overdue(const struct cpus *c, unsigned int cpu)
{
	struct kernel *k = &c->report->kernel;
	uint64_t base, next;

	if (!c->knows_time || !kernel_percpu(k, "hrtimer_bases", cpu, &base) ||
	    !kernel_member(k, base, "hrtimer_cpu_base", "expires_next", &next) ||
	    next >= c->now_ns)
		return 0;
	return (c->now_ns - next) / cpus_second;
}

/* For how many seconds a CPU has not scheduled.  Before Linux 5.13, which has watchdog_report_ts, 0 is
 * no time but asks for a new one; since then it is the first second of the boot.
 */
static uint64_t cpus_unscheduled(const struct cpus *c, unsigned int cpu)
{
	struct kernel *k = &c->report->kernel;
	const bool zero_is_time = kernel_symbol(k, "watchdog_report_ts");
	const uint64_t now = c->report->sched_ns >> 30;         /* as the watchdog counts */
	uint64_t vaddr, touched;

	if (!c->soft_watchdog || !kernel_percpu(k, "watchdog_touch_ts", cpu, &vaddr) ||
	    !kernel_word(k, vaddr, &touched) || (!touched && !zero_is_time) || touched >= now)
		return 0;
	return now - touched;
}

static void cpus_prove_by_stack(struct gdump_fact *verdict, const struct gdump_stack *stack)
{
	if (stack->num_frames && stack->frames[0].function)
		verdict_evidence(verdict, "it is in %s+0x%llx", stack->frames[0].function,
				 (unsigned long long)stack->frames[0].offset);
}

/* Functions of a panic itself, and of what prints; they begin the stack. */
static bool cpus_is_panic(const char *function)
{
	static const char *const names[] = {
		"panic", "vpanic", "nmi_panic", "oops_end", "die", "crash_kexec", "__crash_kexec",
		"no_context", "page_fault_oops", "__die", "make_task_dead", "die_kernel_fault",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const size_t len = strlen(names[i]);

		if (!strncmp(function, names[i], len) && (!function[len] || function[len] == '.'))
			return true;
	}
	return false;
}

/* A number for the stack that led to a panic: the same for the same bug, whatever the kernel's
 * version and compiler, by the names of functions without what follows a dot
 */
static void cpus_add_signature(struct gdump_fact *panic, const struct gdump_stack *stack)
{
	uint64_t hash = 0xcbf29ce484222325;     /* FNV-1a */
	size_t first = 0, num = 0;

	for (size_t i = 0; i < stack->num_frames; i++) {
		if (stack->frames[i].function && cpus_is_panic(stack->frames[i].function))
			first = i + 1;
	}
	for (size_t i = first; i < stack->num_frames && num < SIGNATURE; i++) {
		const struct gdump_frame *f = &stack->frames[i];

		if (!f->function || f->kind == GDUMP_FRAME_GUESS || f->kind == GDUMP_FRAME_USER)
			continue;
		for (const char *p = f->function; *p && *p != '.'; p++)
			hash = (hash ^ (unsigned char)*p) * 0x100000001b3;
		hash = (hash ^ '\n') * 0x100000001b3;
		num++;
	}
	if (first && num)
		fact_text(panic, "signature", "%016llx", (unsigned long long)hash);
}

/* A panic stops all CPUs, and an idle one needs no timer. */
static void cpus_judge(const struct cpus *c, unsigned int cpu, const struct gdump_stack *stack)
{
	const struct gdump_task *task = stack->task;
	const uint64_t overdue = cpus_overdue(c, cpu), unscheduled = cpus_unscheduled(c, cpu);
	struct gdump_fact *v = NULL;

	if (c->report->panic || !task || !task->pid)
		return;
	if (overdue > c->thresh) {
		v = report_verdict(c->report, VERDICT_HARD_LOCKUP,
				   "CPU %u takes no interrupts for %llu s, in %s (%d)", cpu,
				   (unsigned long long)overdue, task->name, (int)task->pid);
		verdict_evidence(v, "its next timer interrupt is overdue by %llu s",
				 (unsigned long long)overdue);
	} else if (unscheduled > 2 * c->thresh) {
		v = report_verdict(c->report, VERDICT_SOFT_LOCKUP,
				   "CPU %u spins in the kernel for %llu s, in %s (%d)", cpu,
				   (unsigned long long)unscheduled, task->name, (int)task->pid);
		verdict_evidence(v, "its watchdog thread did not run for %llu s",
				 (unsigned long long)unscheduled);
	}
	cpus_prove_by_stack(v, stack);
}

static void cpus_add_run_queue(struct report *r, struct gdump_fact *to, unsigned int cpu)
{
	uint64_t rq, num;

	if (kernel_percpu(&r->kernel, "runqueues", cpu, &rq) &&
	    kernel_member(&r->kernel, rq, "rq", "nr_running", &num))
		fact_number(to, "runnable", num, GDUMP_UNIT_NONE);
}

static void cpus_add_interrupts(struct report *r, struct gdump_fact *to, size_t cpu)
{
	uint64_t flags;

	if (register_find(&r->source->image, cpu, "eflags", &flags) ||
	    register_find(&r->source->image, cpu, "rflags", &flags))
		fact_flag(to, "interrupts_off", !(flags & 0x200));
}

static void cpus_add_registers(struct report *r, struct gdump_fact *to, size_t cpu)
{
	struct gdump_fact *group = fact_group(to, "registers");
	struct gdump_register reg;

	for (size_t i = 0; register_at(&r->source->image, cpu, i, &reg) && !strcmp(reg.set, "general"); i++) {
		if (reg.size <= 8)
			fact_address(group, reg.name, reg.value);
	}
}

static void cpus_add(const struct cpus *c, struct gdump_fact *to, unsigned int cpu)
{
	struct report *r = c->report;
	const struct gdump_task *task = c->tasks[cpu];
	struct gdump_fact *group;
	struct gdump_stack stack;
	uint64_t tables;

	if (!task && cpu >= r->source->image.num_cpus)
		return;
	group = fact_group(to, "cpu");
	fact_number(group, "cpu", cpu, GDUMP_UNIT_NONE);
	if (task)
		report_add_task(fact_group(group, "task"), task);
	cpus_add_run_queue(r, group, cpu);
	cpus_add_interrupts(r, group, cpu);
	if (r->opt->all)
		cpus_add_registers(r, group, cpu);
	if (crash_kernel_runs(r, cpu, &tables)) {
		fact_text(group, "mode", "crash-kernel");
		return;
	}
	if (!r->stacks)
		return;
	stacks_of_cpu(r->stacks, task, cpu, &stack);
	fact_text(group, "mode", "%s", cpus_mode(&stack));
	fact_stack(group, "stack", &stack);
	if (r->panic_cpu == (int32_t)cpu)
		cpus_add_signature(r->panic, &stack);
	cpus_judge(c, cpu, &stack);
}

static struct gdump_error *cpus_collect(struct report *r, struct gdump_fact *to)
{
	struct cpus c;
	struct gdump_error *err = cpus_init(&c, r);

	for (unsigned int cpu = 0; !err && cpu < c.num; cpu++)
		cpus_add(&c, to, cpu);
	free(c.tasks);
	return err;
}

const struct section section_cpus = {
	.name = "cpus",
	.is_list = true,
	.needs_kernel = true,
	.of_moment = true,
	.collect = cpus_collect,
};
