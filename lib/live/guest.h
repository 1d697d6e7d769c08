/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest.h - stopping QEMU's guest, and letting it go on
 */
#pragma once

#include "qmp.h"

struct guest {
	struct qmp *qmp;
	int guard_fd;                   /* see gdump_guard(); 0: none           */
	bool allow_encrypted;           /* dump what only the guest can read    */
	bool may_be_protected;          /* by the Ultravisor of s390x           */
	bool running;                   /* it was, when we came                 */
	bool stopped;                   /* by us, or perhaps: then it must go on */
	bool guarded;                   /* the guard knows that                 */
	uint64_t stop_us;               /* when the stop was sent               */
	uint64_t paused_us;             /* from there to the answer to cont     */
};

/* Whether the guest runs; and refuse when it can't be dumped now, or not at all. */
MUST_CHECK struct gdump_error *guest_check(struct guest *g);
/* Whether QEMU is writing a dump, started by anyone */
MUST_CHECK struct gdump_error *guest_dump_active(struct qmp *q, bool *ret);
/* Stop it, if it runs.  On error it may be stopped: guest_resume() is due. */
MUST_CHECK struct gdump_error *guest_stop(struct guest *g);
/* Whether nobody has let it go on since: else GDUMP_ERR_REMOTE. */
MUST_CHECK struct gdump_error *guest_check_still(struct guest *g);
/* Let it go on, if we stopped it.  Is not cancelled. */
MUST_CHECK struct gdump_error *guest_resume(struct guest *g);
/* Before a setting of QEMU is changed: the command that puts it back, JSON without
 * its braces and of less than 256 bytes, for the guard to run if we cannot.
 */
MUST_CHECK struct gdump_error *guest_guard_undo(struct guest *g, const char *command);
/* It is as it was. */
void guest_guard_undone(struct guest *g);

/* What QEMU has to be able to write to its end comes out of @fd: the guard reads it if we
 * cannot.  @name: what QEMU calls the other end as long as it has not begun, of less than
 * 64 bytes; NULL: it is over.
 */
MUST_CHECK struct gdump_error *guest_guard_pipe(struct guest *g, const char *name, int fd);
/* QEMU has paused it, or kept it paused, for a snapshot, and let it go on since. */
void guest_was_resumed(struct guest *g);
/* How long it has stood still because of us, until now */
uint64_t guest_paused_us(const struct guest *g);
