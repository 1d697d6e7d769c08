/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pipeline_receive.c - receive the pages of a source that pushes them in its own order
 *
 * A thread, the receiver, runs the source's push().  It waits for a free entry of the
 * ring, fills its batch with pages as they arrive, and hands it to the workers as if one of
 * them had read it.
 */
#include "pipeline_inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

/* Wait for a free entry and claim it.  False: the dump has ended. */
static bool receiver_claim(struct pipeline *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->claimed - p->stored == p->num_entries && p->claimed < p->end)
		pthread_cond_wait(&p->change, &p->lock);
	if (p->claimed < p->end) {
		p->receiving = entry_claim(p);
		p->receiving->batch.num_pages = p->receiving->batch.num_lost = 0;
		p->receiving->batch.data_len = 0;
		p->fill = 0;
	}
	pthread_mutex_unlock(&p->lock);
	return p->receiving;
}

static void receiver_publish(struct pipeline *p)
{
	struct gdump_error *torn = source_torn(p->source);

	pthread_mutex_lock(&p->lock);
	if (torn && !p->receive_err) {
		p->receive_err = TAKE_PTR(torn);
		p->end = MIN(p->end, p->claimed - 1);
	}
	gdump_error_destroy(torn);
	p->receiving->state = ENTRY_READ;
	p->receiving = NULL;
	pthread_cond_broadcast(&p->change);
	pthread_mutex_unlock(&p->lock);
}

/* Take the data of page @i, which may lie in the space that receiver_reserve() returned. */
static void receiver_put_data(struct pipeline *p, size_t i, const unsigned char *data)
{
	const size_t page_size = p->plan->page_size;
	unsigned char *buf = p->receiving->buf;
	const bool in_place = (uintptr_t)data - (uintptr_t)buf < p->batch_pages * page_size;

	if (!in_place)
		data = memcpy(buf + p->fill, data, page_size);
	p->receiving->src[i] = data;
	p->fill = (size_t)(data - buf) + page_size;
}

static struct gdump_error *receiver_put(void *arg, uint64_t pfn, const void *data)
{
	struct pipeline *p = arg;
	struct batch *b;
	uint64_t index;
	size_t i;

	if (!plan_index(p->plan, pfn, &index) || bit_test(p->received, index))
		return NULL;
	if (!p->receiving && !receiver_claim(p))
		return error_new(GDUMP_ERR_CANCELED, "canceled");
	b = &p->receiving->batch;
	i = b->num_pages++;
	b->pages[i] = (struct page){ .pfn = pfn, .kind = data ? PAGE_UNCOMPRESSED : PAGE_ZERO };
	if (data)
		receiver_put_data(p, i, data);
	bit_set(p->received, index);
	p->num_received++;
	if (b->num_pages == p->batch_pages || p->fill == p->batch_pages * p->plan->page_size)
		receiver_publish(p);
	return NULL;
}

static bool receiver_wants(void *arg, uint64_t pfn)
{
	struct pipeline *p = arg;
	uint64_t index;

	return plan_index(p->plan, pfn, &index) && !bit_test(p->received, index);
}

/* Reserve only while at most two batches per thread are in flight; the other entries are kept
 * for pages that the guest is waiting for.  A batch that is nearly full is published first.
 */
static void *receiver_reserve(void *arg, size_t *num)
{
	struct pipeline *p = arg;
	const size_t page_size = p->plan->page_size;
	bool has_room;

	if (p->receiving && p->fill > p->batch_pages / 4 * 3 * page_size)
		receiver_publish(p);
	pthread_mutex_lock(&p->lock);
	has_room = p->claimed - p->stored <= (uint64_t)2 * p->opt->threads;
	pthread_mutex_unlock(&p->lock);
	if (!has_room || (!p->receiving && !receiver_claim(p)))
		return NULL;
	*num = MIN(p->batch_pages - p->fill / page_size,
		   p->batch_pages - p->receiving->batch.num_pages);
	return p->receiving->buf + p->fill;
}

static bool receiver_canceled(void *arg)
{
	struct pipeline *p = arg;
	bool canceled;

	pthread_mutex_lock(&p->lock);
	canceled = p->claimed >= p->end;
	pthread_mutex_unlock(&p->lock);
	return canceled;
}

static void *receiver_run(void *arg)
{
	struct pipeline *p = arg;
	const struct page_sink sink = {
		.put = receiver_put, .wants = receiver_wants, .reserve = receiver_reserve,
		.canceled = receiver_canceled, .arg = p,
	};
	struct gdump_error *err = p->source->ops->push(p->source, &sink);

	if (p->receiving)
		receiver_publish(p);
	pthread_mutex_lock(&p->lock);
	if (err && p->claimed < p->end) {
		/* the error counts as that of the batch after the last one */
		p->receive_err = err;
		p->end = p->claimed;
	} else {
		gdump_error_destroy(err);
	}
	p->plan_done = true;
	pthread_cond_broadcast(&p->change);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct gdump_error *receiver_start(struct pipeline *p)
{
	int rc;

	if (p->order != READ_PUSHED)
		return NULL;
	p->received = calloc((size_t)div_up(p->plan->num_pages, 64) + 1, sizeof(*p->received));
	if (!p->received)
		return error_nomem();
	rc = pthread_create(&p->receiver, NULL, receiver_run, p);
	p->receiver_runs = !rc;
	return rc ? error_os(rc, "cannot start a thread") : NULL;
}

/* Pages that the source did not push are lost. */
static void receiver_count_missing(struct pipeline *p)
{
	struct plan_cursor c = { 0 };
	uint64_t pfn, index;

	p->result->unreadable += p->plan->kept - p->num_received;
	p->writer->incomplete = true;
	do {
		pfn = plan_next(p->plan, &c);
	} while (pfn != UINT64_MAX && plan_index(p->plan, pfn, &index) &&
		 bit_test(p->received, index));
	if (!p->lost)
		p->lost = error_new(GDUMP_ERR_NODATA,
				    "the page at 0x%" PRIx64 " was not in the snapshot",
				    pfn * p->plan->page_size);
}

struct gdump_error *receiver_end(struct pipeline *p)
{
	if (!p->receiver_runs)
		return NULL;
	pthread_join(p->receiver, NULL);
	if (!p->receive_err && p->num_received < p->plan->kept && p->end == UINT64_MAX)
		receiver_count_missing(p);
	return TAKE_PTR(p->receive_err);
}
