/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pipeline.c - carry the planned pages from a source to a writer
 *
 * Theory of operation
 *
 * The plan is cut into batches of up to BATCH_BYTES of kept pages.  Batch n
 * lives in ring[n % num_slots] and is, one after the other,
 *
 *     claimed   a worker reads its pages
 *     read      (only where there is a hurry) it waits to be compressed
 *     compressing   a worker finds the zero pages and compresses the others
 *     compressed    it waits for its turn
 *     placed    the writer has given it its place in the file: in order of n
 *     stored    it is written; the slot is free
 *
 * All is done by the workers; each looks for the work nearest to the end: store
 * what is placed, place what is next, else claim a new batch and, while it is in
 * the cache, compress it.  Where there is a hurry (a guest stands still until all has
 * been read) claiming comes first, and compressing waits, as long as there are slots.
 * place() is a few sums, so it runs under the lock; reading, compressing and storing do not.  So the
 * layout of the file depends on the order of batches only, no worker waits for
 * another unless the ring is full, and writing is spread over all of them.
 * Where the sink cannot seek, batches are stored in order, one at a time.
 *
 * The buffer that was used last is used next: so most of a large ring is never
 * touched where the workers keep up, and what is touched is in the cache.
 *
 * Counters say it all: [stored, claimed) is in flight, [placed, claimed) waits
 * for its place.  The error that is reported is that of the lowest batch: after
 * an error nothing is claimed any more, but what is in flight below it goes on.
 *
 * A source that pushes has an order of its own: a feeder thread takes its pages
 * and fills batches with them as they come; all else is the same.
 *
 * p->lock guards the counters, the cursor and each slot's state.  A slot's
 * pages and data belong to the worker between two changes of its state.  On a
 * READ_ASCENDING source no batch is claimed while another is being read, so that reads
 * come in ascending order.
 */
#include "pipeline_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../codec/codec.h"
#include "../util/bits.h"
#include "../util/clock.h"
#include "../util/cleanup.h"

enum {
	BATCH_BYTES = 512 * 1024,
	SLOTS_PER_THREAD = 4,
	PROGRESS_MS = 100,
};

/* Fill a batch with the next pages of the plan; false: there are none. */
static bool next_pages(struct pipeline *p, struct batch *b)
{
	uint64_t end = UINT64_MAX;

	b->num_pages = b->num_lost = 0;
	b->data_len = 0;
	while (b->num_pages < p->batch_pages) {
		const struct plan_cursor before = p->cursor;
		uint64_t pfn = plan_next(p->plan, &p->cursor);

		if (pfn == UINT64_MAX) {
			p->plan_done = true;
			break;
		}
		if (!b->num_pages && p->writer && p->writer->ops->slice_end)
			end = p->writer->ops->slice_end(p->writer, pfn);
		if (pfn >= end) {
			p->cursor = before;
			break;
		}
		b->pages[b->num_pages++] = (struct page){ .pfn = pfn };
	}
	return b->num_pages > 0;
}

/* Lock held: batch @n failed; nothing from there on will be written. */
static void fail(struct pipeline *p, uint64_t n, struct gdump_error *err)
{
	slot_at(p, n)->err = err;
	p->end = MIN(p->end, n);
}

/* Lock held: one batch less is being read; the last one lets the source go. */
static void count_read(struct pipeline *p)
{
	p->reading--;
	if (p->plan_done && !p->reading)
		pthread_cond_signal(&p->tick);
	pthread_cond_broadcast(&p->change);
}

/* Lock held, given up meanwhile: compress what was read. */
static void compress_slot(struct worker *w, struct slot *s)
{
	s->state = SLOT_COMPRESSING;
	pthread_mutex_unlock(&w->p->lock);
	batch_compress(w, s);
	pthread_mutex_lock(&w->p->lock);
	s->state = SLOT_COMPRESSED;
}

/* Lock held: claim a batch and read it; without a hurry also compress it.  False:
 * there is none to claim.
 */
static bool work_claim(struct worker *w)
{
	struct pipeline *p = w->p;
	bool taken;
	struct gdump_error *err;
	struct slot *s;
	uint64_t n;

	if (p->order == READ_PUSHED || p->plan_done || p->claimed >= p->end ||
	    p->claimed - p->stored == p->num_slots)
		return false;
	if (p->order == READ_ASCENDING && p->reading)
		return false;           /* its turn comes when the other has read */
	n = p->claimed;
	s = slot_at(p, n);
	if (!next_pages(p, &s->batch)) {
		pthread_cond_signal(&p->tick);
		return false;
	}
	claim_slot(p);
	p->reading++;
	pthread_mutex_unlock(&p->lock);

	taken = w->stored && batch_take(w, s);
	err = taken ? NULL : batch_read(w, s);
	/* what is lent is the source's until it is compressed */
	if (!err && s->lent && !taken)
		batch_compress(w, s);
	pthread_mutex_lock(&p->lock);
	count_read(p);
	if (err)
		fail(p, n, err);
	s->state = !err && !s->lent && !taken ? SLOT_READ : SLOT_COMPRESSED;
	if (s->state == SLOT_READ && !p->hurry)
		compress_slot(w, s);
	pthread_cond_broadcast(&p->change);
	return true;
}

/* Lock held: compress the oldest batch that waits for it.  False: none does. */
static bool work_compress(struct worker *w)
{
	struct pipeline *p = w->p;

	for (uint64_t n = p->placed; (p->hurry || p->order == READ_PUSHED) && n < MIN(p->claimed, p->end); n++) {
		if (slot_at(p, n)->state == SLOT_READ) {
			compress_slot(w, slot_at(p, n));
			pthread_cond_broadcast(&p->change);
			return true;
		}
	}
	return false;
}

/* Lock held: place the batches whose turn it is. */
static bool work_place(struct worker *w)
{
	struct pipeline *p = w->p;
	bool some = false;

	while (p->placed < MIN(p->claimed, p->end) && slot_at(p, p->placed)->state == SLOT_COMPRESSED) {
		struct slot *s = slot_at(p, p->placed);
		struct gdump_error *err = p->writer && p->writer->ops->place ?
					  p->writer->ops->place(p->writer, &s->batch) : NULL;

		if (err) {
			fail(p, p->placed, err);
			break;
		}
		if (p->writer && s->batch.num_lost)
			p->writer->incomplete = true;
		s->state = SLOT_PLACED;
		p->placed++;
		some = true;
	}
	if (some)
		pthread_cond_broadcast(&p->change);
	return some;
}

/* Lock held: free the slots of batches that are stored, from the oldest on, but
 * not of one that failed: its error is needed yet.
 */
static void count_stored(struct pipeline *p)
{
	while (p->stored < MIN(p->placed, p->end) &&
	       slot_at(p, p->stored)->state == SLOT_STORED) {
		struct slot *s = slot_at(p, p->stored);

		s->state = SLOT_FREE;
		p->result->pages += s->count.pages;
		p->result->zero += s->count.zero;
		p->result->compressed += s->count.compressed;
		p->result->uncompressed += s->count.uncompressed;
		p->result->unreadable += s->count.unreadable;
		if (!p->lost)
			p->lost = TAKE_PTR(s->lost);
		gdump_error_destroy(TAKE_PTR(s->lost));
		p->done_pages += s->batch.num_pages;
		p->stored++;
	}
}

/* Lock held: the oldest batch that is placed and that nobody stores yet. */
static struct slot *find_placed(struct pipeline *p, uint64_t *ret)
{
	for (uint64_t n = p->stored; n < MIN(p->placed, p->end); n++) {
		struct slot *s = slot_at(p, n);

		if (s->state == SLOT_PLACED) {
			*ret = n;
			return s;
		}
		if (p->opt->store_in_order)
			return NULL;
	}
	return NULL;
}

/* Lock held: store a batch.  False: there is none to store. */
static bool work_store(struct worker *w)
{
	struct pipeline *p = w->p;
	struct gdump_error *err = NULL;
	uint64_t n;
	struct slot *s = find_placed(p, &n);

	if (!s)
		return false;
	s->state = SLOT_STORING;
	pthread_mutex_unlock(&p->lock);
	if (p->writer)
		err = p->writer->ops->store(p->writer, &s->batch);
	pthread_mutex_lock(&p->lock);
	if (err)
		fail(p, n, err);
	s->state = SLOT_STORED;
	release_buf(p, s);
	if (!err)
		count_stored(p);
	pthread_cond_broadcast(&p->change);
	return true;
}

/* Lock held: whether nothing is left to do or wait for. */
static bool finished(const struct pipeline *p)
{
	const bool none_to_claim = p->plan_done || p->claimed >= p->end;

	return none_to_claim && p->stored >= MIN(p->claimed, p->end);
}

/* Lock held: do what is most useful now.  False: there is nothing to do. */
static bool work(struct worker *w)
{
	if (w->p->hurry && work_claim(w))
		return true;
	return work_place(w) || work_store(w) || work_compress(w) || work_claim(w);
}

static void *worker_run(void *arg)
{
	struct worker *w = arg;
	struct pipeline *p = w->p;

	pthread_mutex_lock(&p->lock);
	while (!finished(p)) {
		if (!work(w) && !finished(p))
			pthread_cond_wait(&p->change, &p->lock);
	}
	p->running--;
	pthread_cond_broadcast(&p->change);
	pthread_cond_signal(&p->tick);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static struct gdump_error *ring_alloc(struct pipeline *p)
{
	const size_t page_size = p->plan->page_size;

	p->num_slots = p->opt->threads * SLOTS_PER_THREAD;
	p->hurry = p->opt->buffer / BATCH_BYTES > p->num_slots;
	if (p->hurry)
		p->num_slots = (unsigned int)MIN(p->opt->buffer / BATCH_BYTES,
						 p->num_slots + p->plan->kept / p->batch_pages);
	p->ring = calloc(p->num_slots, sizeof(*p->ring));
	p->bufs = calloc(p->num_slots, sizeof(*p->bufs));
	if (!p->ring || !p->bufs)
		return error_nomem();
	for (unsigned int i = 0; i < p->num_slots; i++) {
		struct slot *s = &p->ring[i];

		s->batch.pages = calloc(p->batch_pages, sizeof(*s->batch.pages));
		s->src = calloc(p->batch_pages, sizeof(*s->src));
		if (!s->batch.pages || !s->src)
			return error_nomem();
		p->bufs[i] = malloc(p->batch_pages * page_size);
		if (!p->bufs[i])
			return error_nomem();
		p->num_bufs++;
	}
	return NULL;
}

static void ring_free(struct pipeline *p)
{
	for (unsigned int i = 0; p->ring && i < p->num_slots; i++) {
		gdump_error_destroy(p->ring[i].err);
		gdump_error_destroy(p->ring[i].lost);
		free(p->ring[i].batch.pages);
		free(p->ring[i].src);
		free(p->ring[i].buf);
	}
	for (unsigned int i = 0; i < p->num_bufs; i++)
		free(p->bufs[i]);
	free(p->bufs);
	free(p->ring);
	free(p->fed);
}

static struct gdump_error *worker_start(struct worker *w, struct pipeline *p)
{
	const struct codec *codec = p->writer ? p->writer->codec : NULL;
	int rc;

	w->p = p;
	w->state = malloc(p->batch_pages);
	if (!w->state)
		return error_nomem();
	if (codec && codec->compress_open) {
		w->spare = malloc(p->batch_pages * (size_t)p->plan->page_size);
		w->compressor = codec->compress_open(p->writer->level, p->plan->page_size);
		if (!w->spare || !w->compressor)
			return error_nomem();
		if (p->opt->keep_compressed && p->source->ops->stored)
			w->stored = calloc(p->batch_pages, sizeof(*w->stored));
	}
	p->running++;
	rc = pthread_create(&w->thread, NULL, worker_run, w);
	if (rc)
		p->running--;
	return rc ? error_os(rc, "starting a thread") : NULL;
}

static void worker_free(struct worker *w, const struct codec *codec)
{
	if (w->compressor)
		codec->compress_close(w->compressor);
	free(w->spare);
	free(w->stored);
	free(w->state);
}

/* Lock held, given up while waiting: about PROGRESS_MS, or until all is done. */
static void wait_tick(struct pipeline *p)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += PROGRESS_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&p->tick, &p->lock, &until);
}

/* What the calling thread does meanwhile: progress, cancel, and telling that
 * the source is no longer needed.
 */
static struct gdump_error *watch(struct pipeline *p)
{
	const struct pipeline_options *opt = p->opt;
	struct gdump_error *err = NULL;
	bool told = false, asked = false;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		/* one more round when the workers are done: they may have been quick */
		const bool running = p->running;
		const bool all_read = p->plan_done && !p->reading && !told;
		const uint64_t done = p->done_pages;

		pthread_mutex_unlock(&p->lock);
		if (all_read && opt->all_read) {
			debug_log(&p->source->debug, GDUMP_DEBUG_STEP,
				  "all memory was read when %llu of %llu pages had been stored",
				  (unsigned long long)done, (unsigned long long)p->plan->kept);
			told = true;
			err = opt->all_read(opt->all_read_arg);
		}
		/* once at least, however quick they were */
		if ((running || !asked) && !err && opt->progress &&
		    opt->progress(opt->progress_arg, done, p->plan->kept))
			err = error_new(GDUMP_ERR_CANCELED, "canceled");
		asked = true;
		pthread_mutex_lock(&p->lock);
		if (err || !running)
			break;
		if (p->running)
			wait_tick(p);
	}
	if (err)
		p->end = 0;
	pthread_cond_broadcast(&p->change);
	pthread_mutex_unlock(&p->lock);
	return err;
}

/* The error of the lowest batch. */
static struct gdump_error *first_error(struct pipeline *p)
{
	for (uint64_t n = p->stored; n < p->claimed; n++) {
		struct slot *s = slot_at(p, n);

		if (s->err)
			return TAKE_PTR(s->err);
	}
	return NULL;
}

static void pipeline_init(struct pipeline *p)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->change, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->tick, &attr);
	pthread_condattr_destroy(&attr);
}

static void pipeline_deinit(struct pipeline *p)
{
	ring_free(p);
	pthread_cond_destroy(&p->tick);
	pthread_cond_destroy(&p->change);
	pthread_mutex_destroy(&p->lock);
}

static void log_totals(const struct pipeline *p, uint64_t began_us)
{
	const struct gdump_result *r = p->result;

	debug_log(&p->source->debug, GDUMP_DEBUG_STEP,
		  "the pipeline took %.1f ms for %llu pages with %u threads: %llu zero, %llu compressed, %llu uncompressed, %llu unreadable",
		  (double)(clock_us() - began_us) / 1000, (unsigned long long)r->pages,
		  p->opt->threads, (unsigned long long)r->zero, (unsigned long long)r->compressed,
		  (unsigned long long)r->uncompressed, (unsigned long long)r->unreadable);
}

struct gdump_error *pipeline_run(struct source *s, const struct gdump_plan *plan,
				 struct writer *w, const struct pipeline_options *opt,
				 struct gdump_result *result)
{
	struct pipeline p = {
		.source = s, .plan = plan, .writer = w, .opt = opt, .result = result,
		.order = opt->pull && s->ops->order == READ_PUSHED ? READ_ANY : s->ops->order,
		.batch_pages = MAX(BATCH_BYTES / plan->page_size, 1), .end = UINT64_MAX,
	};
	CLEANUP_FREE struct worker *workers = calloc(opt->threads, sizeof(*workers));
	struct gdump_error *err, *watch_err = NULL, *feed_err;
	const uint64_t began_us = clock_us();
	unsigned int n = 0, started = 0;

	pipeline_init(&p);
	err = workers ? ring_alloc(&p) : error_nomem();
	pthread_mutex_lock(&p.lock);
	while (!err && n < opt->threads) {
		err = worker_start(&workers[n++], &p);
		started += !err;
	}
	if (!err)
		err = feeder_start(&p);
	if (err)
		p.end = 0;
	pthread_mutex_unlock(&p.lock);
	if (!err)
		watch_err = watch(&p);
	for (unsigned int i = 0; i < started; i++)
		pthread_join(workers[i].thread, NULL);
	feed_err = feeder_end(&p);
	for (unsigned int i = 0; i < n; i++)
		worker_free(&workers[i], w ? w->codec : NULL);
	if (!err)
		err = first_error(&p);
	if (err)
		gdump_error_destroy(feed_err);
	else
		err = feed_err;
	log_totals(&p, began_us);
	if (p.lost)
		result->first_error = strdup(gdump_error_message(p.lost));
	gdump_error_destroy(p.lost);
	pipeline_deinit(&p);
	if (err || !watch_err) {
		gdump_error_destroy(watch_err);
		return err;
	}
	return watch_err;
}
