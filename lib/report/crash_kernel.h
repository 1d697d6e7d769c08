/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * crash_kernel.h - the kernel that runs after a panic, in memory that was reserved for it
 */
#pragma once

#include "report.h"

/* Whether a CPU runs it: its page tables, at @tables, are in that memory.  What it does cannot be
 * shown then.
 */
bool crash_kernel_runs(struct report *r, size_t cpu, uint64_t *tables);
/* Add a verdict if a CPU runs it, or if it was started at @time (0: it was not). */
void crash_kernel_judge(struct report *r, uint64_t time);
