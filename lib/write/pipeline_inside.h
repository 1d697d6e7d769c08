/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pipeline_inside.h - what the files of the pipeline share; see pipeline_run.c
 */
#pragma once

#include <pthread.h>

#include "pipeline.h"
#include "../util/cleanup.h"

enum entry_state {
	ENTRY_FREE,
	ENTRY_CLAIMED,
	ENTRY_READ,
	ENTRY_COMPRESSING,
	ENTRY_COMPRESSED,
	ENTRY_PLACED,
	ENTRY_STORING,
	ENTRY_STORED,
};

struct ring_entry {
	struct batch batch;
	enum entry_state state;
	unsigned char *buf;             /* the pages as read, later compressed; from the
					 * claim of the batch until it is stored */
	const unsigned char **src;      /* each page of the batch, in buf or borrowed */
	bool lent;                      /* some are borrowed from the source    */
	struct gdump_error *err;
	struct gdump_error *lost;       /* the error of the first lost page     */
	struct gdump_result count;      /* of this batch                        */
};

struct pipeline {
	struct source *source;
	const struct gdump_plan *plan;
	struct writer *writer;          /* NULL: count only                     */
	const struct pipeline_options *opt;
	struct gdump_result *result;
	size_t batch_pages;

	pthread_mutex_t lock;
	pthread_cond_t change;          /* an entry's state changed             */
	pthread_cond_t tick;            /* for the calling thread               */
	struct plan_cursor cursor;
	uint64_t claimed, placed, stored;
	uint64_t end;                   /* no batch is claimed from here on     */
	uint64_t reading;               /* batches being read                   */
	uint64_t done_pages;
	struct gdump_error *lost;       /* the error of the first lost page     */
	struct gdump_error *cut;        /* why not all was read: the guest had to be resumed */
	bool plan_done;                 /* there are no more pages to claim     */
	bool hurry;                     /* read first, compress later           */
	unsigned int running;           /* workers                              */

	struct ring_entry *ring;
	unsigned int num_entries;
	unsigned char **bufs;           /* the free ones, the last used last     */
	unsigned int num_bufs;

	enum read_order order;
	/* for a source that pushes */
	pthread_t receiver;
	bool receiver_runs;
	struct ring_entry *receiving;   /* the batch that is being filled       */
	size_t fill;                    /* bytes of its buf that are in use     */
	uint64_t *received;             /* a bit for each page of the plan      */
	uint64_t num_received;
	struct gdump_error *receive_err;
};

/* The state of one thread */
struct pipeline_worker {
	struct pipeline *p;
	pthread_t thread;
	unsigned char *state;
	unsigned char *spare;           /* to compress into, then swapped with the entry's
					 * buf; NULL: pages are not compressed  */
	void *compressor;
	struct stored_page *stored;     /* NULL: all pages are compressed by us */
	struct gdump_error *lost;       /* as in struct ring_entry              */
};

/* One batch (pipeline_batch.c) ---------------------------------------------- */

/* Read the pages of a batch; a page that cannot be read although others may be is lost. */
MUST_CHECK struct gdump_error *batch_read(struct pipeline_worker *w, struct ring_entry *e);
/* Find the zero pages among those that were read, and compress the others. */
void batch_compress(struct pipeline_worker *w, struct ring_entry *e);
/* Copy the compressed pages of the input.  False: some of them must be recompressed, or read one
 * by one.
 */
bool batch_take(struct pipeline_worker *w, struct ring_entry *e);

/* A source that pushes (pipeline_receive.c) --------------------------------- */

/* Lock held: start the thread that fills batches, if the source pushes. */
MUST_CHECK struct gdump_error *receiver_start(struct pipeline *p);
/* The workers are done: wait for the thread, and return its error. */
MUST_CHECK struct gdump_error *receiver_end(struct pipeline *p);

static inline struct ring_entry *entry_at(struct pipeline *p, uint64_t n)
{
	return &p->ring[n % p->num_entries];
}

/* Lock held: claim the next entry, which must be free; its batch is empty. */
static inline struct ring_entry *entry_claim(struct pipeline *p)
{
	struct ring_entry *e = entry_at(p, p->claimed++);

	e->state = ENTRY_CLAIMED;
	e->buf = p->bufs[--p->num_bufs];
	return e;
}

/* Lock held: release the buffer of an entry whose batch is stored. */
static inline void entry_release_buf(struct pipeline *p, struct ring_entry *e)
{
	p->bufs[p->num_bufs++] = TAKE_PTR(e->buf);
}
