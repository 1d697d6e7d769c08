/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * stalls.h - work of the kernel that does not proceed
 */
#pragma once

#include "report.h"

/* The kernel's clock, in which it notes since when; it counts hz times a second. */
struct stall_clock {
	uint64_t jiffies, hz;
	bool is64;                      /* what it notes has 64 bits            */
};

/* For how many seconds it has been so since @then; 0: that is not in the past. */
uint64_t stall_seconds(const struct stall_clock *c, uint64_t then);

/* An RCU grace period that does not end: add it to the list @to, and a verdict. */
void stall_of_rcu(struct report *r, const struct stall_clock *c, struct gdump_fact *to);
/* The same of pools of workers that begin no work */
void stall_of_workqueues(struct report *r, const struct stall_clock *c, struct gdump_fact *to);
