/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tasks.h - what the guest's kernel runs
 */
#pragma once

#include "../machine/source.h"

/* Call @fn for each task, see gdump_tasks(). */
MUST_CHECK struct gdump_error *tasks_read(struct source *s, gdump_task_fn *fn, void *arg);
