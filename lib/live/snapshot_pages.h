/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * snapshot_pages.h - the guest's pages out of the memory blocks of a snapshot's stream
 *
 * For one thread at a time.
 */
#pragma once

#include "../machine/source.h"
#include "blocks.h"
#include "page_merge.h"

struct snapshot_pages {
	struct source *source;          /* the guest                            */
	const struct memory_map *memory;
	const struct mtree *mtree;
	const struct page_sink *to;
	struct block_map map;
	struct page_merge merge;        /* where the guest's pages are larger   */
};

/* The list of blocks is complete, see struct migration_events: find out where they are in
 * the guest.  GDUMP_ERR_UNSUPPORTED if that cannot be known.
 */
MUST_CHECK struct gdump_error *snapshot_pages_map(struct snapshot_pages *p,
						  const struct migration *m);
/* Put a page of the stream, which is one of the guest's or a part of one, at all its
 * addresses.
 */
MUST_CHECK struct gdump_error *snapshot_pages_put(struct snapshot_pages *p,
						  const struct migration_page *page);
/* Put the memory of devices as it is now in QEMU's process: all of it, or, once the
 * blocks are known, what is in none.
 */
MUST_CHECK struct gdump_error *snapshot_pages_put_devices(struct snapshot_pages *p);
void snapshot_pages_deinit(struct snapshot_pages *p);
