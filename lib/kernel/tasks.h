/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * tasks.h - the tasks of the guest's kernel
 */
#pragma once

#include "kernel.h"

/* Call @fn for each task, on the calling thread; see gdump_tasks().  It is not called if an
 * error is returned.
 */
MUST_CHECK struct gdump_error *tasks_read(struct source *s, gdump_task_fn *fn, void *arg);
/* The same in a kernel that is open already */
MUST_CHECK struct gdump_error *tasks_of(struct kernel *k, gdump_task_fn *fn, void *arg);
