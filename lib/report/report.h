/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report.h - what a guest is doing: the contract of this directory
 *
 * A report is a tree of facts (facts.h) that knows nothing of printing.  Each of its sections is
 * a file here, report_NAME.c, which ends with a struct section, and a row of the table in
 * report.c.  A section adds facts, and verdicts where it finds that something is wrong:
 *
 *     static struct gdump_error *memory_collect(struct report *r, struct gdump_fact *to)
 *     {
 *             ... fact_number(to, "free", free, GDUMP_UNIT_BYTES);
 *             ... verdict_evidence(report_verdict(r, VERDICT_OOM, "out of memory: ..."), ...);
 *     }
 *
 * What is unknown is left out.  An error of a section goes to the list "problems", and its other
 * facts remain; only GDUMP_ERR_NOMEM ends the report.  Memory is hostile: each loop has a bound.
 * Time and memory are limited from outside: past the limit, nothing can be read, and facts are
 * not added.
 */
#pragma once

#include "../kernel/kernel.h"
#include "../stacks/tables.h"
#include "facts.h"

/* What can be wrong, the cause before its consequences.  report_verdict.c has the words. */
enum verdict {
	VERDICT_NOT_RUNNING, VERDICT_PANIC, VERDICT_CRASH_KERNEL, VERDICT_NO_KERNEL, VERDICT_BOOTING, VERDICT_OOPS,
	VERDICT_HARD_LOCKUP, VERDICT_SOFT_LOCKUP, VERDICT_DEADLOCK, VERDICT_OOM,
	VERDICT_PRESSURE, VERDICT_TASKS, VERDICT_IO_ERRORS, VERDICT_DISK, VERDICT_NFS, VERDICT_RCU,
	VERDICT_WORKQUEUE, VERDICT_BLOCKED, VERDICT_UNKNOWN, VERDICT_NOTHING,
};

struct report {
	struct source *source;
	const struct gdump_report_options *opt;
	struct gdump_fact *verdicts, *problems;
	bool is_blind;                  /* something that verdicts need is unknown */
	/* Verdicts to which later sections add; NULL: there is none */
	struct gdump_fact *panic, *booting;
	int32_t panic_cpu;              /* -1: unknown                          */
	/* Only if has_kernel: */
	bool has_kernel;
	struct kernel kernel;
	struct stacks *stacks;          /* NULL: they cannot be followed        */
	struct gdump_task *tasks;       /* all of them; NULL: unknown           */
	size_t num_tasks;
	uint64_t sched_ns;              /* the scheduler's clock; 0: unknown    */
	/* For report.c only: */
	struct gdump_tables *tables, *own_tables;
	uint64_t deadline_us;
	unsigned int num_left;          /* sections                             */
};

struct section {
	const char *name;               /* for programs, and as the heading     */
	bool is_list;                   /* what it fills is one, else a group   */
	bool needs_kernel;              /* without has_kernel it is not called  */
	bool of_moment;                 /* it reads what changes: a guest that was paused is
					 * resumed afterwards                   */
	bool no_verdict;                /* nothing in it leads to one           */
	struct gdump_error *(*collect)(struct report *r, struct gdump_fact *to);
};

extern const struct section section_verdict, section_kernel, section_cpus, section_blocked,
	section_stalls, section_tasks, section_memory, section_map, section_disks, section_mounts, section_interfaces, section_log,
	section_modules;

/* Read a report; see gdump_report(). */
MUST_CHECK struct gdump_error *report_read(struct source *s, const struct gdump_report_options *opt,
					   const struct gdump_fact **ret);
/* The i-th section, or NULL past the end */
const struct section *section_at(size_t i);

/* Something of a section cannot be read. */
void report_problem(struct report *r, const char *section, const char *why);

/* Something is wrong: add a sentence without its full stop.  Returns the verdict. */
struct gdump_fact *report_verdict(struct report *r, enum verdict what, const char *fmt, ...)
	PRINTF(3, 4);
/* Add what proves it: a sentence, or a line of the log. */
void verdict_evidence(struct gdump_fact *verdict, const char *fmt, ...) PRINTF(2, 3);

/* Add the names and numbers of a task to a group. */
void report_add_task(struct gdump_fact *to, const struct gdump_task *task);
/* Add the letters of taint flags, as the kernel prints them. */
void report_add_taint(struct gdump_fact *to, uint64_t mask);
/* The task at @vaddr, or NULL */
const struct gdump_task *report_task_at(const struct report *r, uint64_t vaddr);
