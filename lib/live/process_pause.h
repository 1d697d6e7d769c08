/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * process_pause.h - a guest that is paused by stopping the process that runs it
 *
 * The guard stops it, if there is one (see gdump_guard()): if this process is stopped or stuck, the
 * guard resumes the guest.  Without a guard this process does, and the guest is paused as long as it
 * is stopped.
 */
#pragma once

#include <sys/types.h>

#include "memory_map.h"
#include "pause_limit.h"

struct process_pause;

/* Stop all threads of process @pid.  @guard_fd: 0: there is no guard; @limit: for the guard. */
MUST_CHECK struct gdump_error *process_pause_begin(pid_t pid, int guard_fd,
						   const struct pause_limit *limit,
						   struct process_pause **ret);
/* There was progress, so the guard need not resume the guest. */
void process_pause_alive(struct process_pause *p);
/* GDUMP_ERR_REMOTE: the guard, or its end, has resumed the guest. */
MUST_CHECK struct gdump_error *process_pause_torn(const struct process_pause *p);
/* While it is paused: a userfaultfd(2) for its memory (see remote_uffd.h), which @slots are about to
 * be registered with.  If this process is stopped or stuck later, when the guest runs and may wait
 * for us, the guard ends that registration.
 */
MUST_CHECK struct gdump_error *process_pause_uffd(struct process_pause *p,
						  const struct memory_map *slots, int *ret);
/* Nothing waits for that descriptor any more. */
void process_pause_uffd_done(struct process_pause *p);
/* Resume the guest; returns when it runs. */
void process_pause_resume(struct process_pause *p);
/* Resume it if it is paused, and free @p.  NULL is fine. */
void process_pause_end(struct process_pause *p);
