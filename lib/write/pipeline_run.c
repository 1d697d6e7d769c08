/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pipeline_run.c - copy the planned pages from a source to a writer
 *
 * Theory of operation
 *
 * The plan is cut into batches of up to BATCH_BYTES of kept pages.  Batch n
 * lives in ring[n % num_entries] and passes through these states:
 *
 *     claimed       a worker reads its pages
 *     read          (only in a hurry) it waits to be compressed
 *     compressing   a worker finds the zero pages and compresses the others
 *     compressed    it waits for its turn
 *     placed        the writer has given it its place in the file: in order of n
 *     stored        it is written; the ring entry is free
 *
 * The workers do all of this.  Each takes the work that is nearest to the end: store a
 * placed batch, place the next one, or else claim a new batch and compress it while it
 * is in the cache.  In a hurry, that is while a guest is paused until all has been read,
 * claiming comes first, and compressing waits as long as there are free entries.  place()
 * only calculates, so it runs under the lock; reading, compressing and storing do not.
 * So the layout of the file depends on nothing but the order of the batches, no worker
 * waits for another unless the ring is full, and all of them write.  If the sink cannot
 * seek, batches are stored in order, one at a time.
 *
 * The buffer that was used last is used next.  So most of a large ring is never touched
 * if the workers keep up, and the part that is touched stays in the cache.
 *
 * The counters are the state: batches [stored, claimed) are in flight, [placed, claimed)
 * wait for their places.  The error that is reported is that of the lowest batch: after
 * an error no batch is claimed, but the batches in flight below it are completed.
 *
 * A source that pushes passes its pages in any order: the receiver (pipeline_receive.c),
 * a thread, fills batches with them as they arrive.  The rest is the same.
 *
 * p->lock guards the counters, the cursor and the state of each entry.  The pages and data
 * of an entry belong to one worker between two changes of its state.  On a READ_ASCENDING
 * source no batch is claimed while another is being read, so that addresses ascend.
 */
#include "pipeline_inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../codec/codec.h"
#include "../util/bits.h"
#include "../util/clock.h"
#include "../util/cleanup.h"

enum {
	BATCH_BYTES = 512 * 1024,
	ENTRIES_PER_THREAD = 4,
	PROGRESS_MS = 100,
};

/* Fill a batch with the next pages of the plan; false: there are none. */
static bool batch_next_pages(struct pipeline *p, struct batch *b)
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
static void pipeline_fail(struct pipeline *p, uint64_t n, struct gdump_error *err)
{
	entry_at(p, n)->err = err;
	p->end = MIN(p->end, n);
}

/* Lock held: a batch has been read; after the last one, the source is no longer needed. */
static void pipeline_count_read(struct pipeline *p)
{
	p->reading--;
	if (p->plan_done && !p->reading)
		pthread_cond_signal(&p->tick);
	pthread_cond_broadcast(&p->change);
}

/* Lock held, but not while compressing: compress a batch that was read. */
static void entry_compress(struct pipeline_worker *w, struct ring_entry *e)
{
	e->state = ENTRY_COMPRESSING;
	pthread_mutex_unlock(&w->p->lock);
	batch_compress(w, e);
	pthread_mutex_lock(&w->p->lock);
	e->state = ENTRY_COMPRESSED;
}

/* Lock held, but not while reading: claim a batch and read it; compress it too unless in a
 * hurry.  False: there is none to claim.
 */
static bool worker_claim(struct pipeline_worker *w)
{
	struct pipeline *p = w->p;
	bool taken;
	struct gdump_error *err;
	struct ring_entry *e;
	uint64_t n;

	if (p->order == READ_PUSHED || p->plan_done || p->claimed >= p->end ||
	    p->claimed - p->stored == p->num_entries)
		return false;
	if (p->order == READ_ASCENDING && p->reading)
		return false;           /* after the other batch was read */
	n = p->claimed;
	e = entry_at(p, n);
	if (!batch_next_pages(p, &e->batch)) {
		pthread_cond_signal(&p->tick);
		return false;
	}
	entry_claim(p);
	p->reading++;
	pthread_mutex_unlock(&p->lock);

	taken = w->stored && batch_take(w, e);
	err = taken ? NULL : batch_read(w, e);
	/* borrowed pages are used in place: compress them before the batch counts as read */
	if (!err && e->lent && !taken)
		batch_compress(w, e);
	if (!err)
		err = source_torn(p->source);
	pthread_mutex_lock(&p->lock);
	pipeline_count_read(p);
	if (err)
		pipeline_fail(p, n, err);
	e->state = !err && !e->lent && !taken ? ENTRY_READ : ENTRY_COMPRESSED;
	if (e->state == ENTRY_READ && !p->hurry)
		entry_compress(w, e);
	pthread_cond_broadcast(&p->change);
	return true;
}

/* Lock held: compress the oldest batch that was read.  False: there is none. */
static bool worker_compress(struct pipeline_worker *w)
{
	struct pipeline *p = w->p;

	/* otherwise the worker that reads a batch compresses it */
	if (!p->hurry && p->order != READ_PUSHED)
		return false;
	for (uint64_t n = p->placed; n < MIN(p->claimed, p->end); n++) {
		if (entry_at(p, n)->state == ENTRY_READ) {
			entry_compress(w, entry_at(p, n));
			pthread_cond_broadcast(&p->change);
			return true;
		}
	}
	return false;
}

/* Lock held: place the batches whose turn it is. */
static bool worker_place(struct pipeline_worker *w)
{
	struct pipeline *p = w->p;
	bool some = false;

	while (p->placed < MIN(p->claimed, p->end) &&
	       entry_at(p, p->placed)->state == ENTRY_COMPRESSED) {
		struct ring_entry *e = entry_at(p, p->placed);

		if (p->writer && p->writer->ops->place)
			p->writer->ops->place(p->writer, &e->batch);
		if (p->writer && e->batch.num_lost)
			p->writer->incomplete = true;
		e->state = ENTRY_PLACED;
		p->placed++;
		some = true;
	}
	if (some)
		pthread_cond_broadcast(&p->change);
	return some;
}

/* Lock held: note where the lost pages of a batch are.  Without memory, they are only counted. */
static void pipeline_note_lost(struct pipeline *p, const struct batch *b)
{
	const uint64_t size = p->plan->page_size;

	if (!p->opt->lost || !b->num_lost)
		return;
	for (size_t i = 0; i < b->num_pages; i++) {
		if (b->pages[i].kind == PAGE_LOST &&
		    !spans_add(p->opt->lost, b->pages[i].pfn * size, size))
			return;
	}
}

/* Lock held: free the entries of batches that are stored, from the oldest on; an entry that
 * failed keeps its error.
 */
static void pipeline_count_stored(struct pipeline *p)
{
	while (p->stored < MIN(p->placed, p->end) &&
	       entry_at(p, p->stored)->state == ENTRY_STORED) {
		struct ring_entry *e = entry_at(p, p->stored);

		e->state = ENTRY_FREE;
		pipeline_note_lost(p, &e->batch);
		p->result->pages += e->count.pages;
		p->result->zero += e->count.zero;
		p->result->compressed += e->count.compressed;
		p->result->uncompressed += e->count.uncompressed;
		p->result->unreadable += e->count.unreadable;
		if (!p->lost)
			p->lost = TAKE_PTR(e->lost);
		gdump_error_destroy(TAKE_PTR(e->lost));
		p->done_pages += e->batch.num_pages;
		p->stored++;
	}
}

/* Lock held: the oldest batch that is placed and is not being stored. */
static struct ring_entry *ring_find_placed(struct pipeline *p, uint64_t *ret)
{
	for (uint64_t n = p->stored; n < MIN(p->placed, p->end); n++) {
		struct ring_entry *e = entry_at(p, n);

		if (e->state == ENTRY_PLACED) {
			*ret = n;
			return e;
		}
		if (p->opt->store_in_order)
			return NULL;
	}
	return NULL;
}

/* Lock held: store a batch.  False: there is none to store. */
static bool worker_store(struct pipeline_worker *w)
{
	struct pipeline *p = w->p;
	struct gdump_error *err = NULL;
	uint64_t n;
	struct ring_entry *e = ring_find_placed(p, &n);

	if (!e)
		return false;
	e->state = ENTRY_STORING;
	pthread_mutex_unlock(&p->lock);
	if (p->writer)
		err = p->writer->ops->store(p->writer, &e->batch);
	pthread_mutex_lock(&p->lock);
	if (err)
		pipeline_fail(p, n, err);
	e->state = ENTRY_STORED;
	entry_release_buf(p, e);
	if (!err)
		pipeline_count_stored(p);
	pthread_cond_broadcast(&p->change);
	return true;
}

/* Lock held: whether nothing is left to do or wait for. */
static bool pipeline_is_finished(const struct pipeline *p)
{
	const bool none_to_claim = p->plan_done || p->claimed >= p->end;

	return none_to_claim && p->stored >= MIN(p->claimed, p->end);
}

/* Lock held: do what is most useful now.  False: there is nothing to do. */
static bool worker_step(struct pipeline_worker *w)
{
	if (w->p->hurry && worker_claim(w))
		return true;
	return worker_place(w) || worker_store(w) || worker_compress(w) || worker_claim(w);
}

static void *worker_run(void *arg)
{
	struct pipeline_worker *w = arg;
	struct pipeline *p = w->p;

	pthread_mutex_lock(&p->lock);
	while (!pipeline_is_finished(p)) {
		if (!worker_step(w) && !pipeline_is_finished(p))
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

	p->num_entries = p->opt->threads * ENTRIES_PER_THREAD;
	p->hurry = p->opt->buffer / BATCH_BYTES > p->num_entries;
	if (p->hurry)
		p->num_entries = (unsigned int)MIN(p->opt->buffer / BATCH_BYTES,
						 p->num_entries + p->plan->kept / p->batch_pages);
	p->ring = calloc(p->num_entries, sizeof(*p->ring));
	p->bufs = calloc(p->num_entries, sizeof(*p->bufs));
	if (!p->ring || !p->bufs)
		return error_nomem();
	for (unsigned int i = 0; i < p->num_entries; i++) {
		struct ring_entry *e = &p->ring[i];

		e->batch.pages = calloc(p->batch_pages, sizeof(*e->batch.pages));
		e->src = calloc(p->batch_pages, sizeof(*e->src));
		if (!e->batch.pages || !e->src)
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
	for (unsigned int i = 0; p->ring && i < p->num_entries; i++) {
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
	free(p->received);
}

static struct gdump_error *worker_start(struct pipeline_worker *w, struct pipeline *p)
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
	return rc ? error_os(rc, "cannot start a thread") : NULL;
}

static void worker_free(struct pipeline_worker *w, const struct codec *codec)
{
	if (w->compressor)
		codec->compress_close(w->compressor);
	free(w->spare);
	free(w->stored);
	free(w->state);
}

/* Lock held, but not while waiting: wait PROGRESS_MS, or until tick is signaled. */
static void pipeline_wait_tick(struct pipeline *p)
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

/* Why the guest must be resumed at once, or NULL */
static struct gdump_error *pipeline_overdue(struct pipeline *p)
{
	const struct pipeline_options *opt = p->opt;
	struct gdump_error *err;
	uint64_t progress;

	pthread_mutex_lock(&p->lock);
	progress = p->claimed + p->placed + p->stored;
	pthread_mutex_unlock(&p->lock);
	err = source_overdue(p->source, progress);
	/* a protected guest is resumed when its dump ends */
	if (p->source->ops->pv_dump || p->source->resumed_early) {
		gdump_error_destroy(err);
		return NULL;
	}
	/* a guest whose memory is pushed runs */
	if (!err && p->order != READ_PUSHED && opt->resume_now && opt->resume_now(opt->resume_now_arg))
		err = error_new(GDUMP_ERR_REMOTE,
				"the guest had to be resumed before all memory was read");
	return err;
}

/* Lock held: claim no more batches.  Returns whether all pages were read. */
static bool pipeline_end_reading(struct pipeline *p)
{
	struct plan_cursor c = p->cursor;

	p->plan_done |= p->claimed < p->end && plan_next(p->plan, &c) == UINT64_MAX;
	if (!p->plan_done)
		p->end = MIN(p->end, p->claimed);
	pthread_cond_broadcast(&p->change);
	while (p->reading)
		pipeline_wait_tick(p);
	return p->plan_done;
}

/* Resume the guest now.  The pages read so far are written; if these are not all, @why becomes the
 * error of the dump.
 */
static struct gdump_error *pipeline_resume_early(struct pipeline *p, struct gdump_error *why)
{
	bool all;

	pthread_mutex_lock(&p->lock);
	all = pipeline_end_reading(p);
	pthread_mutex_unlock(&p->lock);
	p->source->resumed_early = true;
	debug_log(&p->source->debug, GDUMP_DEBUG_STEP, "%s",
		  all ? "the guest is resumed early; all memory was read"
		      : gdump_error_message(why));
	if (all)
		gdump_error_destroy(why);
	else
		p->cut = why;
	/* for an output that may be stuck and keeps nothing of an incomplete dump */
	if (!all && p->opt->interrupt)
		p->opt->interrupt(p->opt->interrupt_arg);
	/* a source that pushes does that when it notices that nobody takes its pages */
	return p->order == READ_PUSHED ? NULL : source_resume(p->source);
}

/* Report progress, and ask whether to cancel. */
static bool pipeline_is_canceled(const struct pipeline_options *opt, uint64_t done, uint64_t total)
{
	if (!opt->progress || !opt->progress(opt->progress_arg, done, total))
		return false;
	if (opt->interrupt)
		opt->interrupt(opt->interrupt_arg);
	return true;
}

/* While the workers run, the calling thread reports progress, asks whether to cancel, and calls
 * all_read() when the source is no longer needed.
 */
static struct gdump_error *pipeline_watch(struct pipeline *p)
{
	const struct pipeline_options *opt = p->opt;
	struct gdump_error *err = NULL, *why;
	bool reported = false, asked = false;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		/* one more round after the workers have ended, so that all_read() is called */
		const bool running = p->running;
		const bool all_read = p->plan_done && !p->reading && !reported;
		const uint64_t done = p->done_pages;

		pthread_mutex_unlock(&p->lock);
		if (all_read && opt->all_read) {
			debug_log(&p->source->debug, GDUMP_DEBUG_STEP,
				  "all memory was read when %" PRIu64 " of %" PRIu64
				  " pages had been stored", done, p->plan->kept);
			reported = true;
			err = opt->all_read(opt->all_read_arg);
		}
		why = err ? NULL : pipeline_overdue(p);
		if (why)
			err = pipeline_resume_early(p, why);
		/* at least once, even if the workers have ended already */
		if ((running || !asked) && !err && pipeline_is_canceled(opt, done, p->plan->kept))
			err = error_new(GDUMP_ERR_CANCELED, "canceled");
		asked = true;
		pthread_mutex_lock(&p->lock);
		if (err || !running)
			break;
		if (p->running)
			pipeline_wait_tick(p);
	}
	if (err)
		p->end = 0;
	pthread_cond_broadcast(&p->change);
	pthread_mutex_unlock(&p->lock);
	return err;
}

/* The error of the lowest batch. */
static struct gdump_error *pipeline_first_error(struct pipeline *p)
{
	for (uint64_t n = p->stored; n < p->claimed; n++) {
		struct ring_entry *e = entry_at(p, n);

		if (e->err)
			return TAKE_PTR(e->err);
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

static void pipeline_log_totals(const struct pipeline *p, uint64_t began_us)
{
	const struct gdump_result *r = p->result;

	debug_log(&p->source->debug, GDUMP_DEBUG_STEP,
		  "the pipeline took %.1f ms for %" PRIu64 " pages with %u threads: %" PRIu64
		  " zero, %" PRIu64 " compressed, %" PRIu64 " uncompressed, %" PRIu64 " unreadable",
		  (double)(clock_us() - began_us) / 1000, r->pages, p->opt->threads, r->zero,
		  r->compressed, r->uncompressed, r->unreadable);
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
	CLEANUP_FREE struct pipeline_worker *workers = calloc(opt->threads, sizeof(*workers));
	struct gdump_error *err, *watch_err = NULL, *receive_err;
	const uint64_t began_us = clock_us();
	unsigned int n = 0, started = 0;

	pipeline_init(&p);
	s->in_order = p.order == READ_ASCENDING;
	err = workers ? ring_alloc(&p) : error_nomem();
	pthread_mutex_lock(&p.lock);
	while (!err && n < opt->threads) {
		err = worker_start(&workers[n++], &p);
		started += !err;
	}
	if (!err)
		err = receiver_start(&p);
	if (err)
		p.end = 0;
	pthread_mutex_unlock(&p.lock);
	if (!err)
		watch_err = pipeline_watch(&p);
	for (unsigned int i = 0; i < started; i++)
		pthread_join(workers[i].thread, NULL);
	receive_err = receiver_end(&p);
	s->in_order = false;
	for (unsigned int i = 0; i < n; i++)
		worker_free(&workers[i], w ? w->codec : NULL);
	if (!err)
		err = pipeline_first_error(&p);
	if (err)
		gdump_error_destroy(receive_err);
	else
		err = receive_err;
	pipeline_log_totals(&p, began_us);
	if (p.lost)
		result->first_error = strdup(gdump_error_message(p.lost));
	gdump_error_destroy(p.lost);
	if (p.cut && err && gdump_error_code(err) == GDUMP_ERR_CANCELED)
		gdump_error_destroy(TAKE_PTR(err));
	if (!err && !watch_err)
		err = TAKE_PTR(p.cut);
	gdump_error_destroy(p.cut);
	pipeline_deinit(&p);
	if (err || !watch_err) {
		gdump_error_destroy(watch_err);
		return err;
	}
	return watch_err;
}
