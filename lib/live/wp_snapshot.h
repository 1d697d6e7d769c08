/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * wp_snapshot.h - memory of another process as it is at one moment, read while that process runs
 */
#pragma once

#include "../machine/source.h"
#include "memory_map.h"

struct wp_snapshot;

/* Whether it can work, as far as that can be seen without a change to the process */
MUST_CHECK struct gdump_error *wp_snapshot_check(const struct memory_map *map, const struct procmem *mem,
						 uint32_t page_size);
/* While the process @pid runs: what would take time later, or GDUMP_ERR_REMOTE, as the host has too
 * little memory.  May populate memory.
 */
MUST_CHECK struct gdump_error *wp_snapshot_prepare(const struct memory_map *map,
						   const struct procmem *mem, pid_t pid);
/* The process does not run: now is the moment.  @map and @mem are used until the end; @uffd, a
 * userfaultfd(2) of the process, is closed then, or on an error.
 */
MUST_CHECK struct gdump_error *wp_snapshot_begin(const struct memory_map *map, struct procmem *mem,
						 uint32_t page_size, int uffd,
						 struct wp_snapshot **ret);
/* What source_ops.read promises, of that moment; not after wp_snapshot_push() */
MUST_CHECK struct gdump_error *wp_snapshot_read(struct wp_snapshot *w, uint64_t paddr, void *buf,
						size_t len);
/* What source_ops.push promises.  Afterwards, no thread of the process waits for us. */
MUST_CHECK struct gdump_error *wp_snapshot_push(struct wp_snapshot *w, const struct page_sink *to);
/* For how long threads of the process may have been waiting: now, and at most; in microseconds */
uint64_t wp_snapshot_waits_us(const struct wp_snapshot *w);
uint64_t wp_snapshot_stalled_us(const struct wp_snapshot *w);
/* The process may write everywhere again.  NULL is fine. */
void wp_snapshot_end(struct wp_snapshot *w);
