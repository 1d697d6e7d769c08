/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_stalls.c - work of the kernel that does not proceed: RCU, and workqueues
 *
 * The kernel's own watchdogs print warnings; here are the numbers that they look at.  A panic
 * stops everything.
 */
#include "../kernel/state.h"
#include "stalls.h"

uint64_t stall_seconds(const struct stall_clock *c, uint64_t then)
{
	const uint64_t passed = c->jiffies - then;
	const int64_t age = c->is64 ? (int64_t)passed : (int32_t)(uint32_t)passed;

	return age > 0 ? (uint64_t)age / c->hz : 0;
}

static struct gdump_error *stalls_collect(struct report *r, struct gdump_fact *to)
{
	struct stall_clock c = { .is64 = r->source->image.is64 };

	if (r->panic || !state_jiffies(&r->kernel, &c.jiffies, &c.hz))
		return NULL;
	stall_of_rcu(r, &c, to);
	stall_of_workqueues(r, &c, to);
	return NULL;
}

const struct section section_stalls = {
	.name = "stalls",
	.is_list = true,
	.needs_kernel = true,
	.of_moment = true,
	.collect = stalls_collect,
};
