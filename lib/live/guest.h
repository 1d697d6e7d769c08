/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * guest.h - pausing QEMU's guest, and resuming it
 */
#pragma once

#include <stdatomic.h>

#include "pause_limit.h"
#include "qmp.h"

/* Whether QEMU's guest runs, and if not, who has to resume it */
enum guest_state {
	GUEST_RUNNING,                  /* as far as we know                    */
	GUEST_NOT_RUNNING,              /* for a reason that is not ours        */
	GUEST_PAUSED_BY_OTHERS,         /* the same, and we need it to stay so  */
	GUEST_PAUSED,                   /* by us, or perhaps: must be resumed   */
};

struct guest {
	struct qmp *qmp;
	int guard_fd;                   /* see gdump_guard(); 0: none           */
	bool allow_encrypted;           /* dump what only the guest can read    */
	bool may_be_protected;          /* by the Ultravisor of s390x           */
	enum guest_state state;
	char run_state[32];             /* what QEMU called it at first         */
	uint64_t pause_us;              /* when the command was sent            */
	uint64_t paused_us;             /* from there to the answer to cont     */
	struct pause_limit limit;
	_Atomic uint64_t alive_us;      /* when the guard was told last         */
	atomic_bool torn;               /* by the guard, which was reported     */
};

/* Set @g->state and ->run_state to what QEMU reports.  An error if the guest cannot be dumped now, or at
 * all.
 */
MUST_CHECK struct gdump_error *guest_check(struct guest *g);
/* Whether QEMU is writing a dump, started by anyone */
MUST_CHECK struct gdump_error *guest_dump_active(struct qmp *q, bool *ret);
/* Pause it, if it runs.  On error it may be paused: guest_resume() is due. */
MUST_CHECK struct gdump_error *guest_pause(struct guest *g);
/* Whether guest_pause() has been called, and guest_resume() has not */
static inline bool guest_is_paused(const struct guest *g)
{
	return g->state >= GUEST_PAUSED_BY_OTHERS;
}
/* Fail if it was resumed since: GDUMP_ERR_REMOTE. */
MUST_CHECK struct gdump_error *guest_check_paused(struct guest *g);
/* See struct guest_ops. */
MUST_CHECK struct gdump_error *guest_overdue(struct guest *g, uint64_t progress);
MUST_CHECK struct gdump_error *guest_torn(struct guest *g);
/* Something was read: the guard need not resume the guest.  From any thread, as often as you
 * like.
 */
void guest_alive(struct guest *g);
/* If the guard has taken over, wait until the guest is resumed.  An error if nobody knows of
 * that yet.  Call it before the monitor is used to end a dump.
 */
MUST_CHECK struct gdump_error *guest_await_guard(struct guest *g);
/* Resume it, if we paused it.  This is not canceled. */
MUST_CHECK struct gdump_error *guest_resume(struct guest *g);
/* Before a setting of QEMU is changed: the command that puts it back, JSON without
 * its braces and of less than 256 bytes, for the guard to run if we are killed.
 */
MUST_CHECK struct gdump_error *guest_guard_undo(struct guest *g, const char *command);
/* The setting has been put back. */
void guest_guard_undone(struct guest *g);

/* What QEMU has to be able to write to its end comes out of @fd: the guard reads it if we
 * are killed.  @name: what QEMU calls the other end as long as it has not begun, of less than
 * 64 bytes; NULL: it is over.  @may_break: if we are gone, rather than stopped, QEMU may find the
 * pipe closed.
 */
MUST_CHECK struct gdump_error *guest_guard_pipe(struct guest *g, const char *name, int fd,
						bool may_break);
/* QEMU has paused it, or kept it paused, for a snapshot, and resumed it since. */
void guest_was_resumed(struct guest *g);
/* For how long we have paused it until now, in microseconds */
uint64_t guest_paused_us(const struct guest *g);
