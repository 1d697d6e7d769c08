/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pipeline_inside.h - what the files of the pipeline share; see pipeline.c
 */
#pragma once

#include <pthread.h>

#include "pipeline.h"
#include "../util/cleanup.h"

enum slot_state {
	SLOT_FREE,
	SLOT_CLAIMED,
	SLOT_READ,
	SLOT_COMPRESSING,
	SLOT_COMPRESSED,
	SLOT_PLACED,
	SLOT_STORING,
	SLOT_STORED,
};

struct slot {
	struct batch batch;
	enum slot_state state;
	unsigned char *buf;             /* pages, as read, then as compressed; from
					 * its claim until it is stored         */
	const unsigned char **src;      /* each page of the batch, in buf or lent */
	bool lent;                      /* some are the source's                */
	struct gdump_error *err;
	struct gdump_error *lost;       /* why the first lost page was          */
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
	pthread_cond_t change;          /* a slot's state changed               */
	pthread_cond_t tick;            /* for the calling thread               */
	struct plan_cursor cursor;
	uint64_t claimed, placed, stored;
	uint64_t end;                   /* no batch is claimed from here on     */
	uint64_t reading;               /* batches being read                   */
	uint64_t done_pages;
	struct gdump_error *lost;       /* why the first lost page was          */
	bool plan_done;
	bool hurry;                     /* read first, compress later           */
	unsigned int running;           /* workers                              */

	struct slot *ring;
	unsigned int num_slots;
	unsigned char **bufs;           /* those that no slot has, last used last */
	unsigned int num_bufs;

	enum read_order order;
	/* of a source that pushes */
	pthread_t feeder;
	bool feeder_runs;
	struct slot *feeding;           /* the batch that is being filled       */
	size_t fill;                    /* bytes of its buf that are in use     */
	uint64_t *fed;                  /* a bit for each page of the plan      */
	uint64_t num_fed;
	struct gdump_error *feed_err;
};

/* One thread's own. */
struct worker {
	struct pipeline *p;
	pthread_t thread;
	unsigned char *state;
	unsigned char *spare;           /* to compress into; changes places with the
					 * slot's buf; NULL: pages are not compressed */
	void *compressor;
	struct stored_page *stored;     /* NULL: pages are compressed anew      */
	struct gdump_error *lost;       /* as in struct slot                    */
};

/* One batch (pipeline_batch.c) ---------------------------------------------- */

/* Read the pages of a batch; those that are broken by themselves are lost. */
MUST_CHECK struct gdump_error *batch_read(struct worker *w, struct slot *s);
/* Find the zero pages of what was read, and compress the others. */
void batch_compress(struct worker *w, struct slot *s);
/* Take over the pages as the input holds them.  False: they cannot stay so, or are
 * best read one by one.
 */
bool batch_take(struct worker *w, struct slot *s);

/* A source that pushes (pipeline_feed.c) ------------------------------------- */

/* Lock held: start the thread that fills batches, if the source pushes. */
MUST_CHECK struct gdump_error *feeder_start(struct pipeline *p);
/* The workers are done: wait for it, and say what it met. */
MUST_CHECK struct gdump_error *feeder_end(struct pipeline *p);

static inline struct slot *slot_at(struct pipeline *p, uint64_t n)
{
	return &p->ring[n % p->num_slots];
}

/* Lock held: the next slot, which must be free, with no pages yet. */
static inline struct slot *claim_slot(struct pipeline *p)
{
	struct slot *s = slot_at(p, p->claimed++);

	s->state = SLOT_CLAIMED;
	s->buf = p->bufs[--p->num_bufs];
	return s;
}

/* Lock held: its batch is stored. */
static inline void release_buf(struct pipeline *p, struct slot *s)
{
	p->bufs[p->num_bufs++] = TAKE_PTR(s->buf);
}
