/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pipeline_batch.c - what a worker does with one batch: read it, compress it
 *
 * Nothing here is under the pipeline's lock: a batch is one worker's own.
 */
#include "pipeline_inside.h"

#include <string.h>

#include "../codec/codec.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

/* How many pages of a batch, from @i on, are contiguous in memory */
static size_t batch_run_length(const struct batch *b, size_t i)
{
	size_t n = 1;

	while (i + n < b->num_pages && b->pages[i + n].pfn == b->pages[i].pfn + n)
		n++;
	return n;
}

/* Whether other pages may well be readable.  A READ_ASCENDING source cannot go back. */
static bool batch_error_is_of_page(const struct pipeline *p, const struct gdump_error *err)
{
	const enum gdump_code code = gdump_error_code(err);

	return p->source->ops->order != READ_ASCENDING &&
	       (code == GDUMP_ERR_NODATA || code == GDUMP_ERR_CORRUPT || code == GDUMP_ERR_OS);
}

static void batch_lose_page(struct pipeline_worker *w, struct ring_entry *e, size_t i,
			    struct gdump_error *err)
{
	e->batch.pages[i].kind = PAGE_LOST;
	e->batch.num_lost++;
	if (w->lost)
		gdump_error_destroy(err);
	else
		w->lost = err;
}

static struct gdump_error *batch_read_pages(struct pipeline_worker *w, struct ring_entry *e,
					    size_t i, size_t n);

/* One of pages [i, i + n) cannot be read: find out which. */
static struct gdump_error *batch_read_singly(struct pipeline_worker *w, struct ring_entry *e,
					     size_t i, size_t n)
{
	struct gdump_error *err = NULL;

	for (size_t k = 0; !err && k < n; k++)
		err = batch_read_pages(w, e, i + k, 1);
	return err;
}

/* Borrow pages [i, i + n) if they can be accessed in place, or else read them. */
static struct gdump_error *batch_read_pages(struct pipeline_worker *w, struct ring_entry *e,
					    size_t i, size_t n)
{
	const size_t page_size = w->p->plan->page_size;
	const uint64_t paddr = e->batch.pages[i].pfn * page_size;
	const unsigned char *src = w->p->hurry ? NULL :
				   source_borrow(w->p->source, paddr, n * page_size);
	struct gdump_error *err = NULL;

	if (src) {
		e->lent = true;
	} else {
		src = e->buf + i * page_size;
		err = source_read(w->p->source, paddr, e->buf + i * page_size, n * page_size);
	}
	if (err && n > 1 && batch_error_is_of_page(w->p, err)) {
		gdump_error_destroy(err);
		return batch_read_singly(w, e, i, n);
	}
	if (err && batch_error_is_of_page(w->p, err)) {
		batch_lose_page(w, e, i, err);
		return NULL;
	}
	for (size_t k = 0; k < n; k++) {
		e->batch.pages[i + k].kind = PAGE_UNCOMPRESSED;
		e->src[i + k] = src + k * page_size;
	}
	return err;
}

/* Read the pages of a run that the source has; the others are PAGE_ZERO. */
static struct gdump_error *batch_read_run(struct pipeline_worker *w, struct ring_entry *e, size_t i,
					  size_t n)
{
	struct batch *b = &e->batch;
	struct gdump_error *err = source_scan(w->p->source, b->pages[i].pfn, n, w->state,
					      true);

	for (size_t k = 0, m; !err && k < n; k += m) {
		m = 1;
		b->pages[i + k].kind = PAGE_ZERO;
		if (w->state[k] != PAGE_THERE)
			continue;
		while (k + m < n && w->state[k + m] == PAGE_THERE)
			m++;
		err = batch_read_pages(w, e, i + k, m);
	}
	return err;
}

struct gdump_error *batch_read(struct pipeline_worker *w, struct ring_entry *e)
{
	struct gdump_error *err = NULL;

	e->lent = false;
	for (size_t i = 0, n; !err && i < e->batch.num_pages; i += n) {
		n = batch_run_length(&e->batch, i);
		err = batch_read_run(w, e, i, n);
	}
	e->lost = TAKE_PTR(w->lost);
	return err;
}

/* Move one page into the batch's data, compressed if that helps. */
static void batch_compress_page(struct pipeline_worker *w, struct ring_entry *e, struct page *page,
				const unsigned char *src)
{
	const size_t page_size = w->p->plan->page_size;
	const struct codec *codec = w->p->writer ? w->p->writer->codec : NULL;
	unsigned char *dst = (w->compressor ? w->spare : e->buf) + e->batch.data_len;
	size_t n = 0;

	if (page->kind == PAGE_LOST) {
		e->count.unreadable++;
		return;
	}
	if (page->kind == PAGE_ZERO || is_zero(src, page_size)) {
		*page = (struct page){ .pfn = page->pfn, .kind = PAGE_ZERO };
		e->count.zero++;
		return;
	}
	if (w->compressor)
		n = codec->compress(w->compressor, dst, page_size - 1, src, page_size);
	if (n) {
		page->kind = PAGE_COMPRESSED;
		e->count.compressed++;
	} else {
		n = page_size;
		/* earlier pages may be zero or lost and have no data: then it moves down */
		if (w->p->writer && dst != src)
			memmove(dst, src, n);
		e->count.uncompressed++;
	}
	page->len = (uint32_t)n;
	e->batch.data_len += n;
}

void batch_compress(struct pipeline_worker *w, struct ring_entry *e)
{
	e->count = (struct gdump_result){ .pages = e->batch.num_pages - e->batch.num_lost };
	for (size_t i = 0; i < e->batch.num_pages; i++)
		batch_compress_page(w, e, &e->batch.pages[i], e->src[i]);
	if (w->compressor) {
		unsigned char *read = e->buf;

		e->buf = w->spare;
		w->spare = read;
	}
	e->batch.data = e->buf;
}

/* Copy the compressed pages of a run from the input.  False: they must be recompressed, or read
 * one by one.
 */
static bool batch_take_run(struct pipeline_worker *w, struct ring_entry *e, size_t i, size_t n)
{
	struct source *source = w->p->source;
	const uint32_t flag = w->p->writer->codec->kdump_flag;
	struct batch *b = &e->batch;
	CLEANUP_ERROR struct gdump_error *err =
		source_scan(source, b->pages[i].pfn, n, w->state, false);

	/* an error here happens again in batch_read(), which reports it */
	if (err || memchr(w->state, PAGE_ABSENT, n) ||
	    !source_stored(source, b->pages[i].pfn, n, flag, e->buf + b->data_len, w->stored))
		return false;
	for (size_t k = 0; k < n; k++) {
		const struct stored_page *from = &w->stored[k];
		struct page *page = &b->pages[i + k];

		page->len = from->len;
		page->kind = !from->len ? PAGE_ZERO :
			     from->flag ? PAGE_COMPRESSED : PAGE_UNCOMPRESSED;
		e->count.zero += page->kind == PAGE_ZERO;
		e->count.compressed += page->kind == PAGE_COMPRESSED;
		e->count.uncompressed += page->kind == PAGE_UNCOMPRESSED;
		b->data_len += from->len;
	}
	return true;
}

bool batch_take(struct pipeline_worker *w, struct ring_entry *e)
{
	struct batch *b = &e->batch;

	e->count = (struct gdump_result){ .pages = b->num_pages };
	for (size_t i = 0, n; i < b->num_pages; i += n) {
		n = batch_run_length(b, i);
		if (!batch_take_run(w, e, i, n)) {
			b->data_len = 0;
			return false;
		}
	}
	b->data = e->buf;
	return true;
}
