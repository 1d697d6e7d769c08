/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * stacks.h - the stacks of the guest's tasks and CPUs
 */
#pragma once

#include "../kernel/kernel_text.h"

struct stacks;

/* Read what does not change while the kernel runs: where its code is, and the tables by which
 * stacks are followed.  GDUMP_ERR_UNSUPPORTED: the kernel has no symbols.  @k must be open until
 * stacks_close().
 */
MUST_CHECK struct gdump_error *stacks_open(struct kernel *k, struct stacks **ret);
/* NULL is fine. */
void stacks_close(struct stacks *s);

/* The code of the kernel; belongs to @s. */
const struct text *stacks_text(const struct stacks *s);
/* Where the stack of @task is; false: unknown, or it has none. */
bool stacks_range(struct stacks *s, const struct gdump_task *task, uint64_t *lo, uint64_t *hi);
/* Follow the stack of a task that is not running.  The frames of @ret are valid until the next
 * call.
 */
void stacks_of_task(struct stacks *s, const struct gdump_task *task, struct gdump_stack *ret);
/* The same of a CPU, which runs @task (NULL: unknown) */
void stacks_of_cpu(struct stacks *s, const struct gdump_task *task, size_t cpu,
		   struct gdump_stack *ret);
