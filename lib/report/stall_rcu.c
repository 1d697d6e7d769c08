/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * stall_rcu.c - an RCU grace period that does not end
 *
 * The leaves of the tree of rcu_nodes have the CPUs that have not been quiescent, and the tasks
 * that sleep or were preempted in what the grace period waits for.
 *
 * Facts: Linux's kernel/rcu/tree.h and tree_stall.h.
 */
#include <stdio.h>

#include "../util/bits.h"
#include "stalls.h"

enum { IN_PROGRESS = 3, USUAL_TIMEOUT = 21, MAX_TIMEOUT = 300, MAX_NODES = 4096, MAX_TASKS = 16 };

/* Where it is, as long as it does not end */
struct grace_period {
	uint64_t state;                 /* of the struct rcu_state              */
	uint64_t seq, start;
};

static bool rcu_read(struct kernel *k, struct grace_period *ret)
{
	uint64_t again;

	ret->state = kernel_symbol(k, "rcu_state");
	return ret->state && kernel_member(k, ret->state, "rcu_state", "gp_seq", &ret->seq) &&
	       ret->seq & IN_PROGRESS &&
	       kernel_member(k, ret->state, "rcu_state", "gp_start", &ret->start) &&
	       kernel_member(k, ret->state, "rcu_state", "gp_seq", &again) && again == ret->seq;
}

static uint64_t rcu_timeout(struct kernel *k)
{
	const uint64_t vaddr = kernel_symbol(k, "rcu_cpu_stall_timeout");
	uint64_t seconds;

	return vaddr && kernel_uint(k, vaddr, 4, &seconds) && seconds && seconds <= MAX_TIMEOUT
		       ? seconds : USUAL_TIMEOUT;
}

static void rcu_add_task(struct report *r, uint64_t vaddr, struct gdump_fact *to,
			 struct gdump_fact *verdict)
{
	const struct gdump_task *task = report_task_at(r, vaddr);

	if (!task)
		return;
	report_add_task(fact_group(to, "task"), task);
	verdict_evidence(verdict, "it waits for %s (%d), which sleeps or was preempted in a read-side "
			 "critical section", task->name, (int)task->pid);
}

/* From the task that the node names to the end of its list */
static void rcu_add_tasks(struct report *r, uint64_t node, struct gdump_fact *to,
			  struct gdump_fact *verdict)
{
	struct kernel *k = &r->kernel;
	struct btf_field head, entry;
	uint64_t at;

	if (!kernel_member(k, node, "rcu_node", "gp_tasks", &at) || !at ||
	    !btf_field(&k->btf, "rcu_node", "blkd_tasks", &head) ||
	    !btf_field(&k->btf, "task_struct", "rcu_node_entry", &entry))
		return;
	for (unsigned int i = 0; i < MAX_TASKS && at != node + head.off; i++) {
		rcu_add_task(r, at - entry.off, to, verdict);
		if (!kernel_word(k, at, &at))
			return;
	}
}

static void rcu_add_cpus(struct report *r, uint64_t node, struct gdump_fact *to,
			 struct gdump_fact *verdict)
{
	uint64_t mask, first;

	if (!kernel_member(&r->kernel, node, "rcu_node", "qsmask", &mask) ||
	    !kernel_member(&r->kernel, node, "rcu_node", "grplo", &first))
		return;
	for (unsigned int i = 0; i < 64; i++) {
		if (!(mask >> i & 1))
			continue;
		fact_number(to, "cpu", first + i, GDUMP_UNIT_NONE);
		verdict_evidence(verdict, "it waits for CPU %llu", (unsigned long long)(first + i));
	}
}

/* The leaves are the last level of the tree. */
static void rcu_add_nodes(struct report *r, const struct grace_period *p, struct gdump_fact *to,
			  struct gdump_fact *verdict)
{
	struct gdump_fact *cpus = fact_list(to, "cpus"), *tasks = fact_list(to, "tasks");
	struct kernel *k = &r->kernel;
	const uint64_t levels = kernel_symbol(k, "rcu_num_lvls"), nodes = kernel_symbol(k, "rcu_num_nodes");
	const uint32_t size = btf_size(&k->btf, "rcu_node");
	struct btf_field f;
	uint64_t num, depth, level;

	if (!levels || !nodes || !size || !kernel_uint(k, levels, 4, &depth) ||
	    !kernel_uint(k, nodes, 4, &num) || !btf_field(&k->btf, "rcu_state", "node", &f))
		return;
	for (uint64_t i = 0; i < MIN(num, MAX_NODES); i++) {
		const uint64_t node = p->state + f.off + i * size;

		if (!kernel_member(k, node, "rcu_node", "level", &level) || level + 1 != depth)
			continue;
		rcu_add_cpus(r, node, cpus, verdict);
		rcu_add_tasks(r, node, tasks, verdict);
	}
}

void stall_of_rcu(struct report *r, const struct stall_clock *c, struct gdump_fact *to)
{
	struct gdump_fact *group, *verdict;
	struct grace_period p;
	uint64_t seconds;

	if (!rcu_read(&r->kernel, &p))
		return;
	seconds = stall_seconds(c, p.start);
	if (seconds <= rcu_timeout(&r->kernel))
		return;
	group = fact_group(to, "stall");
	fact_text(group, "kind", "rcu");
	fact_number(group, "stalled", seconds * 1000000000, GDUMP_UNIT_NS);
	verdict = report_verdict(r, VERDICT_RCU, "RCU: a grace period has not ended for %llu s",
				 (unsigned long long)seconds);
	verdict_evidence(verdict, "it began %llu s ago, and rcu_state.gp_seq is still 0x%llx",
			 (unsigned long long)seconds, (unsigned long long)p.seq);
	rcu_add_nodes(r, &p, group, verdict);
}
