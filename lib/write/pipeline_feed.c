/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pipeline_feed.c - batches of a source that has an order of its own
 *
 * A thread lets the source push.  It waits for a free slot, fills that batch with
 * pages as they come, and hands it to the workers as if one of them had read it.
 */
#include "pipeline_inside.h"

#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

/* Wait for a free slot and begin to fill it.  False: nothing is wanted. */
static bool feeder_claim(struct pipeline *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->claimed - p->stored == p->num_slots && p->claimed < p->end)
		pthread_cond_wait(&p->change, &p->lock);
	if (p->claimed < p->end) {
		p->feeding = claim_slot(p);
		p->feeding->batch.num_pages = p->feeding->batch.num_lost = 0;
		p->feeding->batch.data_len = 0;
		p->fill = 0;
	}
	pthread_mutex_unlock(&p->lock);
	return p->feeding;
}

static void feeder_publish(struct pipeline *p)
{
	pthread_mutex_lock(&p->lock);
	p->feeding->state = SLOT_READ;
	p->feeding = NULL;
	pthread_cond_broadcast(&p->change);
	pthread_mutex_unlock(&p->lock);
}

/* The data of page @i of the batch, which feeder_room() may have given the place for */
static void take_data(struct pipeline *p, size_t i, const unsigned char *data)
{
	const size_t page_size = p->plan->page_size;
	unsigned char *buf = p->feeding->buf;
	const bool in_place = (uintptr_t)data - (uintptr_t)buf < p->batch_pages * page_size;

	if (!in_place)
		data = memcpy(buf + p->fill, data, page_size);
	p->feeding->src[i] = data;
	p->fill = (size_t)(data - buf) + page_size;
}

static struct gdump_error *feeder_page(void *arg, uint64_t pfn, const void *data)
{
	struct pipeline *p = arg;
	struct batch *b;
	uint64_t index;
	size_t i;

	if (!plan_page(p->plan, pfn, &index) || bit_test(p->fed, index))
		return NULL;
	if (!p->feeding && !feeder_claim(p))
		return error_new(GDUMP_ERR_CANCELED, "canceled");
	b = &p->feeding->batch;
	i = b->num_pages++;
	b->pages[i] = (struct page){ .pfn = pfn, .kind = data ? PAGE_UNCOMPRESSED : PAGE_ZERO };
	if (data)
		take_data(p, i, data);
	bit_set(p->fed, index);
	p->num_fed++;
	if (b->num_pages == p->batch_pages || p->fill == p->batch_pages * p->plan->page_size)
		feeder_publish(p);
	return NULL;
}

static bool feeder_wants(void *arg, uint64_t pfn)
{
	struct pipeline *p = arg;
	uint64_t index;

	return plan_page(p->plan, pfn, &index) && !bit_test(p->fed, index);
}

/* So many batches as keep the workers busy: the other slots are for pages that cannot wait.
 * A batch that is nearly full is not worth reading to.
 */
static void *feeder_room(void *arg, size_t *num)
{
	struct pipeline *p = arg;
	const size_t page_size = p->plan->page_size;
	bool room;

	if (p->feeding && p->fill > p->batch_pages / 4 * 3 * page_size)
		feeder_publish(p);
	pthread_mutex_lock(&p->lock);
	room = p->claimed - p->stored <= (uint64_t)2 * p->opt->threads;
	pthread_mutex_unlock(&p->lock);
	if (!room || (!p->feeding && !feeder_claim(p)))
		return NULL;
	*num = MIN(p->batch_pages - p->fill / page_size, p->batch_pages - p->feeding->batch.num_pages);
	return p->feeding->buf + p->fill;
}

static bool feeder_stopped(void *arg)
{
	struct pipeline *p = arg;
	bool stopped;

	pthread_mutex_lock(&p->lock);
	stopped = p->claimed >= p->end;
	pthread_mutex_unlock(&p->lock);
	return stopped;
}

static void *feeder_run(void *arg)
{
	struct pipeline *p = arg;
	const struct page_sink sink = {
		.put = feeder_page, .wants = feeder_wants, .reserve = feeder_room,
		.cancelled = feeder_stopped, .arg = p,
	};
	struct gdump_error *err = p->source->ops->push(p->source, &sink);

	if (p->feeding)
		feeder_publish(p);
	pthread_mutex_lock(&p->lock);
	if (err && p->claimed < p->end) {
		/* as if it came behind all batches */
		p->feed_err = err;
		p->end = p->claimed;
	} else {
		gdump_error_destroy(err);
	}
	p->plan_done = true;
	pthread_cond_broadcast(&p->change);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct gdump_error *feeder_start(struct pipeline *p)
{
	int rc;

	if (p->order != READ_PUSHED)
		return NULL;
	p->fed = calloc((size_t)div_up(p->plan->num_pages, 64) + 1, sizeof(*p->fed));
	if (!p->fed)
		return error_nomem();
	rc = pthread_create(&p->feeder, NULL, feeder_run, p);
	p->feeder_runs = !rc;
	return rc ? error_os(rc, "starting a thread") : NULL;
}

/* Pages that never came are lost. */
static void count_missing(struct pipeline *p)
{
	struct plan_cursor c = { 0 };
	uint64_t pfn, index;

	p->result->unreadable += p->plan->kept - p->num_fed;
	p->writer->incomplete = true;
	do {
		pfn = plan_next(p->plan, &c);
	} while (pfn != UINT64_MAX && plan_page(p->plan, pfn, &index) && bit_test(p->fed, index));
	if (!p->lost)
		p->lost = error_new(GDUMP_ERR_NODATA, "memory at 0x%llx never came",
				    (unsigned long long)pfn * p->plan->page_size);
}

struct gdump_error *feeder_end(struct pipeline *p)
{
	if (!p->feeder_runs)
		return NULL;
	pthread_join(p->feeder, NULL);
	if (!p->feed_err && p->num_fed < p->plan->kept && p->end == UINT64_MAX)
		count_missing(p);
	return TAKE_PTR(p->feed_err);
}
