/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * stall_work.c - pools of workers that begin no work
 *
 * Each CPU has two pools of workers, and others are of no CPU.  A pool whose works wait notes when
 * it last began one; the kernel's watchdog, and this, accept a pause of some seconds.
 *
 * Facts: Linux's kernel/workqueue.c, wq_watchdog_timer_fn().
 */
#include <stdio.h>

#include "../kernel/list_walk.h"
#include "../util/bits.h"
#include "stalls.h"

enum { POOLS = 2, BUCKETS = 64, MAX_POOLS = 4096, MAX_WORKERS = 10000, MAX_WORKS = 1000, SHOWN = 4,
       USUAL_THRESH = 30, MAX_THRESH = 600, NAME = 192 };

struct work_pools {
	struct report *report;
	const struct stall_clock *clock;
	struct gdump_fact *to;
	uint64_t thresh;                /* seconds                              */
};

static bool work_read_progress(struct kernel *k, uint64_t pool, uint64_t *ret)
{
	/* last_progress_ts since Linux 7.0 */
	return kernel_member(k, pool, "worker_pool", "watchdog_ts", ret) ||
	       kernel_member(k, pool, "worker_pool", "last_progress_ts", ret);
}

/* When the watchdog of a pool was put off, as while the console is slow */
static uint64_t work_read_touched(struct kernel *k, uint64_t cpu, uint64_t progress)
{
	const uint64_t all = kernel_symbol(k, "wq_watchdog_touched");
	uint64_t vaddr, at;

	if (all && kernel_word(k, all, &at) && (int64_t)(at - progress) > 0)
		progress = at;
	if (cpu <= INT32_MAX && kernel_percpu(k, "wq_watchdog_touched_cpu", (unsigned int)cpu, &vaddr) &&
	    kernel_word(k, vaddr, &at) && (int64_t)(at - progress) > 0)
		progress = at;
	return progress;
}

static void work_function(struct report *r, uint64_t vaddr, char *ret)
{
	struct text_symbol s;

	if (!r->stacks || !text_at(stacks_text(r->stacks), vaddr, &s) || !s.name)
		snprintf(ret, NAME, "0x%llx", (unsigned long long)vaddr);
	else if (s.module)
		snprintf(ret, NAME, "%s [%s]", s.name, s.module->name);
	else
		snprintf(ret, NAME, "%s", s.name);
}

/* The works that wait; returns how many these are. */
static size_t work_add_waiting(struct report *r, uint64_t head, struct gdump_fact *to,
			       struct gdump_fact *verdict)
{
	struct kernel *k = &r->kernel;
	struct list_walk walk = list_walk_begin(k, head, MAX_WORKS);
	struct btf_field entry;
	char name[NAME];
	uint64_t node, fn;
	size_t num = 0;

	if (!btf_field(&k->btf, "work_struct", "entry", &entry))
		return 0;
	for (; list_walk_next(&walk, &node); num++) {
		if (num >= SHOWN || !kernel_member(k, node - entry.off, "work_struct", "func", &fn))
			continue;
		work_function(r, fn, name);
		fact_guest_text(to, "function", name, sizeof(name));
		verdict_evidence(verdict, "%s waits", name);
	}
	return num;
}

static void work_add_running(struct report *r, uint64_t pool, struct gdump_fact *to,
			     struct gdump_fact *verdict)
{
	struct kernel *k = &r->kernel;
	struct btf_field workers, node_of;
	struct list_walk walk;
	uint64_t node, fn, vaddr;
	char name[NAME];

	if (!btf_field(&k->btf, "worker_pool", "workers", &workers) ||
	    !btf_field(&k->btf, "worker", "node", &node_of))
		return;
	walk = list_walk_begin(k, pool + workers.off, MAX_WORKERS);
	for (size_t num = 0; list_walk_next(&walk, &node) && num < SHOWN;) {
		const struct gdump_task *task;

		if (!kernel_member(k, node - node_of.off, "worker", "current_func", &fn) || !fn ||
		    !kernel_member(k, node - node_of.off, "worker", "task", &vaddr))
			continue;
		task = report_task_at(r, vaddr);
		if (!task)
			continue;
		num++;
		work_function(r, fn, name);
		report_add_task(fact_group(to, "task"), task);
		verdict_evidence(verdict, "%s (%d) runs %s", task->name, (int)task->pid, name);
	}
}

static void work_report(struct work_pools *w, uint64_t pool, uint64_t cpu, uint64_t head, uint64_t seconds)
{
	struct gdump_fact *group = fact_group(w->to, "stall"), *v;
	char whose[48] = "a pool of workers of no CPU";

	if (cpu <= INT32_MAX)
		snprintf(whose, sizeof(whose), "a pool of workers of CPU %llu", (unsigned long long)cpu);
	fact_text(group, "kind", "workqueue");
	fact_number(group, "stalled", seconds * 1000000000, GDUMP_UNIT_NS);
	v = report_verdict(w->report, VERDICT_WORKQUEUE, "%s has begun no work for %llu s, and work waits",
			   whose, (unsigned long long)seconds);
	if (cpu <= INT32_MAX)
		fact_number(fact_list(group, "cpus"), "cpu", cpu, GDUMP_UNIT_NONE);
	work_add_running(w->report, pool, fact_list(group, "tasks"), v);
	work_add_waiting(w->report, head, fact_list(group, "waiting"), v);
}

/* Read twice what a running guest may change: it has not proceeded meanwhile. */
static void work_look_at_pool(struct work_pools *w, uint64_t pool)
{
	struct kernel *k = &w->report->kernel;
	struct btf_field list;
	uint64_t cpu, progress, again, seconds, first;

	if (!btf_field(&k->btf, "worker_pool", "worklist", &list) ||
	    !kernel_member(k, pool, "worker_pool", "cpu", &cpu) || !work_read_progress(k, pool, &progress) ||
	    !kernel_word(k, pool + list.off, &first) || first == pool + list.off ||
	    !work_read_progress(k, pool, &again) || again != progress)
		return;
	seconds = stall_seconds(w->clock, work_read_touched(k, cpu, progress));
	if (seconds > w->thresh)
		work_report(w, pool, cpu, pool + list.off, seconds);
}

static void work_look_at_cpus(struct work_pools *w)
{
	struct kernel *k = &w->report->kernel;
	const uint32_t size = btf_size(&k->btf, "worker_pool");
	const unsigned int num = kernel_max_cpus(k);
	uint64_t pools;

	for (unsigned int cpu = 0; size && cpu < num; cpu++) {
		if (!kernel_uses_cpu(k, cpu) || !kernel_percpu(k, "cpu_worker_pools", cpu, &pools))
			continue;
		for (unsigned int i = 0; i < POOLS; i++)
			work_look_at_pool(w, pools + (uint64_t)i * size);
	}
}

/* Those of no CPU are in a hash table. */
static void work_look_at_others(struct work_pools *w)
{
	struct kernel *k = &w->report->kernel;
	const uint64_t table = kernel_symbol(k, "unbound_pool_hash");
	const unsigned int word = w->report->source->image.is64 ? 8 : 4;
	unsigned int left = MAX_POOLS;
	struct btf_field hash;
	uint64_t node;

	if (!table || !btf_field(&k->btf, "worker_pool", "hash_node", &hash))
		return;
	for (unsigned int i = 0; i < BUCKETS; i++) {
		if (!kernel_word(k, table + (uint64_t)i * word, &node))
			return;
		for (; node && left; left--) {
			work_look_at_pool(w, node - hash.off);
			if (!kernel_word(k, node, &node))
				return;
		}
	}
}

void stall_of_workqueues(struct report *r, const struct stall_clock *c, struct gdump_fact *to)
{
	struct work_pools w = { .report = r, .clock = c, .to = to, .thresh = USUAL_THRESH };
	const uint64_t vaddr = kernel_symbol(&r->kernel, "wq_watchdog_thresh");
	uint64_t thresh;

	if (vaddr && kernel_word(&r->kernel, vaddr, &thresh) && thresh && thresh <= MAX_THRESH)
		w.thresh = thresh;
	work_look_at_cpus(&w);
	work_look_at_others(&w);
}
