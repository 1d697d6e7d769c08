/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mount_ahead.h - read a view ahead of those who read it from one end to the other
 *
 * The kernel asks for some 128 KiB at a time, and one thread cannot decompress them as fast as
 * they are copied.  So threads of our own read the next blocks before they are asked for.  A
 * fixed number of blocks is kept, for all readers together; what is read in no order is not, as
 * the kernel has it in its page cache.
 */
#pragma once

#include <stdatomic.h>

#include <guestdump.h>

struct mount_ahead;

/* Where a reader is; all zero at the beginning */
struct mount_reader {
	_Atomic uint64_t next;          /* the end of what it read              */
	atomic_uint run;                /* reads in a row, each near the end of the last */
};

/* Start @threads threads that read @v, which must outlive them.  NULL: they cannot be started. */
struct mount_ahead *mount_ahead_start(struct gdump_view *v, unsigned int threads);
/* @a may be NULL. */
void mount_ahead_stop(struct mount_ahead *a);
/* As gdump_view_read(), from any thread */
GDUMP_MUST_CHECK struct gdump_error *mount_ahead_read(struct mount_ahead *a, struct mount_reader *reader,
						      uint64_t off, void *buf, size_t len);
