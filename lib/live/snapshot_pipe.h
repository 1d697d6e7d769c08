/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * snapshot_pipe.h - the pipe through which QEMU sends a snapshot
 *
 * For one thread at a time.
 */
#pragma once

#include "../error.h"

struct snapshot_pipe {
	int fd;                         /* QEMU writes to the other end; -1: none */
	int inner[2];                   /* a pipe that is ours alone            */
	size_t moved;                   /* bytes in it                          */
	bool empty;                     /* QEMU had sent nothing, last time     */
	bool ended;                     /* QEMU has closed its end              */
	_Atomic uint64_t looked_us;     /* when we looked last; 0: QEMU does not wait for us */
	uint64_t moved_us;              /* when something came last; 0: not yet */
	uint64_t stalled_us;            /* the longest time that we did not look */
	unsigned int nap_us;            /* before we look again                 */
};

#define SNAPSHOT_PIPE_NONE { .fd = -1, .inner = { -1, -1 } }

/* Make a new one, after closing the old one, which @p has or is SNAPSHOT_PIPE_NONE; the
 * caller sends *@theirs to QEMU and closes it.
 */
MUST_CHECK struct gdump_error *snapshot_pipe_open(struct snapshot_pipe *p, int *theirs);
void snapshot_pipe_close(struct snapshot_pipe *p);

/* Take all that QEMU has sent out of its pipe: it becomes @p->moved bytes, which were
 * 0 before and still are if there was nothing or, see ->ended, will be nothing any more.
 * @idle: the caller has nothing else to do, so wait a little first.
 */
MUST_CHECK struct gdump_error *snapshot_pipe_move(struct snapshot_pipe *p, bool idle);
/* Read some of what was moved, up to @len bytes. */
MUST_CHECK struct gdump_error *snapshot_pipe_read(struct snapshot_pipe *p, void *buf, size_t len,
						  size_t *got);
/* Read the rest and discard it, so that QEMU does not wait for ever. */
void snapshot_pipe_drain(struct snapshot_pipe *p);
