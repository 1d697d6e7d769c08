/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * freezer.h - stopping all threads of another process
 *
 * The process notices nothing but that time has passed, and nor does its parent.  If this process
 * ends in any way, the kernel resumes the other.
 */
#pragma once

#include <sys/types.h>

#include "../error.h"

struct freezer;

enum { FREEZER_MS = 5000 };             /* for each thread to stop              */

/* Stop all threads of process @pid; *@ret: until freezer_close().  GDUMP_ERR_OS: we may not, or one
 * does not stop; then all run again.
 */
MUST_CHECK struct gdump_error *freezer_open(pid_t pid, struct freezer **ret);
/* All threads of a process, which are stopped */
struct frozen {
	pid_t pid;
	const pid_t *tids;
	size_t num_tids;
};
typedef struct gdump_error *freezer_fn(const struct frozen *frozen, void *arg);
/* Call @fn on the thread that may use ptrace(2) on them; one at a time. */
MUST_CHECK struct gdump_error *freezer_call(struct freezer *f, freezer_fn *fn, void *arg);
/* Resume them; from any thread.  NULL is fine. */
void freezer_close(struct freezer *f);
