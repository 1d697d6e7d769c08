/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * snapshot_view.h - reading any memory of a snapshot while QEMU sends it
 *
 * One thread starts, stops and empties a view; any may read in between.
 */
#pragma once

#include <pthread.h>

#include "../machine/source.h"
#include "memory_map.h"
#include "page_store.h"

struct snapshot_view {
	/* set by the caller: the guest's memory */
	const struct memory_map *memory;
	const struct procmem *mem;
	uint32_t page_size;
	/* Take a little of what QEMU sends, without waiting long: the pages go to the sink
	 * that view_sink() returns.  *@ended: nothing is left.
	 */
	struct gdump_error *(*collect)(void *arg, bool *ended);
	void *arg;
	bool stored_first;              /* a page is collected before its protection is removed, so
					 * that a reader need not wait for it   */

	pthread_mutex_t lock;
	pthread_cond_t change;
	pthread_t thread;               /* that collects                        */
	bool is_running;                /* it has to be joined                  */
	bool stop, ended;               /* it is asked to end; it did           */
	unsigned int waiting;           /* readers, for a page to come          */
	struct page_store store;
	size_t given;                   /* how far the store was emptied        */
	struct gdump_error *err;        /* of collect()                         */
};

/* Whether memory can be read this way: the kernel reports which pages are write-protected, and
 * no page is in two slots.
 */
bool view_can_work(const struct memory_map *memory, const struct procmem *mem, uint32_t page_size);
/* After the caller has set the first members */
void view_init(struct snapshot_view *v);
/* Takes the pages that QEMU sends, as long as they are collected */
struct page_sink view_sink(struct snapshot_view *v);
/* The memory is write-protected: collect on a thread from now on, and admit readers. */
MUST_CHECK struct gdump_error *view_start(struct snapshot_view *v);
/* Memory as it was at the moment of the snapshot.  GDUMP_ERR_NODATA: it came too late. */
MUST_CHECK struct gdump_error *view_read(struct snapshot_view *v, uint64_t paddr, void *buf,
					 size_t len);
/* Stop collecting: there are no readers any more.  The error of collect(); none if it was not
 * started.
 */
MUST_CHECK struct gdump_error *view_stop(struct snapshot_view *v);
/* Pass on some of the pages that were collected.  @wait: even if @to has no room now.
 * *@worked: something was done, and more may be left.
 */
MUST_CHECK struct gdump_error *view_give(struct snapshot_view *v, const struct page_sink *to,
					 bool wait, bool *worked);
/* While pages are collected: move those that are there to @ret, which is empty.  The error of
 * collect(), if that has failed.
 */
MUST_CHECK struct gdump_error *view_take(struct snapshot_view *v, struct page_store *ret);
/* Whether all pages were passed on */
bool view_is_empty(const struct snapshot_view *v);
void view_deinit(struct snapshot_view *v);
