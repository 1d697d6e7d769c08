/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * sink_s3.c - an object in S3, uploaded in parts while it is written
 *
 * The parts are of one size, which lets the largest possible file have 10,000 of them, as S3
 * demands.  A part is collected in a buffer.  When each of its bytes is written, one of the threads
 * that upload gets it, in whichever order; the part at offset 0 has the headers, which are written
 * again at the end, and waits for finish().  There are NUM_BUFFERS buffers: when all of them wait
 * for the network, write() waits.  A writer of kdump files fills two parts at a time, one with
 * descriptors and one with pages, and a third where these meet.
 *
 * Bytes are counted: that a part is complete is known because no byte but the headers is written
 * twice, and none is left out.  Where the owner says ->ascending, those that are left out count as
 * zeros.
 */
#include "sink.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../net/s3.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum { NUM_BUFFERS = 10, NUM_UPLOADS = 4, POLL_MS = 200 };
#define PART_SIZE (UINT64_C(8) << 20)   /* at least                             */

enum part_state { PART_FREE, PART_OPEN, PART_QUEUED, PART_SENDING };

struct part_buf {
	enum part_state state;
	unsigned int index;             /* of the part, from 0 on               */
	size_t have;                    /* bytes written to it; at last its size */
	unsigned char *data;            /* NULL: not allocated yet              */
};

struct sink_s3 {
	struct sink sink;
	struct s3 *s3;
	char *where;
	bool replace;
	size_t part_size;
	uint64_t pos;                   /* ->ascending: where the next byte is expected */
	gdump_cancel_fn *cancel;
	void *cancel_arg;
	atomic_bool stop;               /* requests end                         */
	bool completes;                 /* the only requests are those of finish() */

	pthread_mutex_t lock;           /* guards the rest                      */
	pthread_cond_t change;
	struct part_buf bufs[NUM_BUFFERS];
	struct s3_part *parts;          /* S3_PARTS_MOST                        */
	bool *is_submitted;             /* the same number                      */
	pthread_t threads[NUM_UPLOADS];
	unsigned int num_threads;
	bool begins, begun;             /* the upload                           */
	bool finishing;                 /* nothing more will be submitted       */
	struct gdump_error *err;        /* the first one                        */
};

static bool sink_s3_is_stopped(void *arg)
{
	struct sink_s3 *s = arg;

	if (s->completes && s->cancel && s->cancel(s->cancel_arg))
		s->stop = true;
	return s->stop;
}

/* Lock held: the upload has failed. */
static void sink_s3_fail(struct sink_s3 *s, struct gdump_error *err)
{
	if (s->err || s->stop)
		gdump_error_destroy(err);
	else
		s->err = err;
	s->stop = true;
	pthread_cond_broadcast(&s->change);
}

/* Lock held: the error for the caller, once the upload was stopped */
static struct gdump_error *sink_s3_error(struct sink_s3 *s)
{
	if (s->err)
		return TAKE_PTR(s->err);
	return error_new(GDUMP_ERR_CANCELED, "canceled");
}

/* --- threads that upload --- */

/* Begin the upload; the thread that comes first does that for all. */
static void uploader_begin(struct sink_s3 *s, struct http *h)
{
	struct gdump_error *err;

	pthread_mutex_lock(&s->lock);
	if (s->begins) {
		pthread_mutex_unlock(&s->lock);
		return;
	}
	s->begins = true;
	pthread_mutex_unlock(&s->lock);
	err = s3_check(s->s3, h, s->replace);
	if (!err)
		err = s3_begin(s->s3, h);
	pthread_mutex_lock(&s->lock);
	s->begun = !err;
	if (err)
		sink_s3_fail(s, err);
	pthread_cond_broadcast(&s->change);
	pthread_mutex_unlock(&s->lock);
}

static struct part_buf *sink_s3_find(struct sink_s3 *s, enum part_state state)
{
	for (size_t i = 0; i < NUM_BUFFERS; i++) {
		if (s->bufs[i].state == state)
			return &s->bufs[i];
	}
	return NULL;
}

/* Lock held: wait for a part to send.  NULL: there will be none */
static struct part_buf *uploader_next(struct sink_s3 *s)
{
	struct part_buf *b;

	while (!s->stop) {
		b = s->begun ? sink_s3_find(s, PART_QUEUED) : NULL;
		if (b) {
			b->state = PART_SENDING;
			return b;
		}
		if (s->begun && s->finishing)
			return NULL;
		pthread_cond_wait(&s->change, &s->lock);
	}
	return NULL;
}

static void *uploader_run(void *arg)
{
	struct sink_s3 *s = arg;
	CLEANUP_HTTP struct http *h = NULL;
	struct gdump_error *err = s3_connect(s->s3, &h);
	struct part_buf *b;

	if (!err)
		uploader_begin(s, h);
	pthread_mutex_lock(&s->lock);
	while (!err && (b = uploader_next(s))) {
		pthread_mutex_unlock(&s->lock);
		err = s3_put_part(s->s3, h, b->index + 1, b->data, b->have, &s->parts[b->index]);
		pthread_mutex_lock(&s->lock);
		b->state = PART_FREE;
		pthread_cond_broadcast(&s->change);
	}
	if (err)
		sink_s3_fail(s, err);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Start another thread, without signals. */
static struct gdump_error *uploader_start(struct sink_s3 *s)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&s->threads[s->num_threads], NULL, uploader_run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->num_threads += !rc;
	return rc ? error_os(rc, "cannot start a thread") : NULL;
}

static void uploaders_join(struct sink_s3 *s)
{
	while (s->num_threads)
		pthread_join(s->threads[--s->num_threads], NULL);
}

/* --- parts --- */

/* Lock held: @b has @size bytes.  One thread can send it all, if no other can be started. */
static void part_submit(struct sink_s3 *s, struct part_buf *b, size_t size)
{
	b->have = size;
	b->state = PART_QUEUED;
	s->is_submitted[b->index] = true;
	if (s->num_threads < NUM_UPLOADS)
		gdump_error_destroy(uploader_start(s));
	pthread_cond_broadcast(&s->change);
}

/* Lock held: whether a part is on its way, so that its buffer will become free */
static bool parts_move(struct sink_s3 *s)
{
	return sink_s3_find(s, PART_QUEUED) || sink_s3_find(s, PART_SENDING);
}

/* Lock held: wait for a buffer, for part @index. */
static struct gdump_error *part_open(struct sink_s3 *s, unsigned int index, struct part_buf **ret)
{
	struct part_buf *b;

	while (!s->stop && !(b = sink_s3_find(s, PART_FREE))) {
		if (!parts_move(s))
			return error_new(GDUMP_ERR_UNSUPPORTED,
					 "%s: the format is written at too many places at once", s->where);
		pthread_cond_wait(&s->change, &s->lock);
	}
	if (s->stop)
		return sink_s3_error(s);
	if (!b->data)
		b->data = malloc(s->part_size);
	if (!b->data)
		return error_nomem();
	memset(b->data, 0, s->part_size);
	*b = (struct part_buf){ .state = PART_OPEN, .index = index, .data = b->data };
	*ret = b;
	return NULL;
}

/* Lock held: the open part @index */
static struct gdump_error *part_find(struct sink_s3 *s, uint64_t index, struct part_buf **ret)
{
	for (size_t i = 0; i < NUM_BUFFERS; i++) {
		*ret = &s->bufs[i];
		if ((*ret)->state == PART_OPEN && (*ret)->index == index)
			return NULL;
	}
	if (index >= S3_PARTS_MOST)
		return error_new(GDUMP_ERR_UNSUPPORTED, "%s: the dump is larger than was expected",
				 s->where);
	if (s->is_submitted[index])
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "%s: the headers are too large to be written again; write a file", s->where);
	return part_open(s, (unsigned int)index, ret);
}

/* Lock held: write, or count zeros if @buf is NULL. */
static struct gdump_error *parts_put(struct sink_s3 *s, uint64_t off, const unsigned char *buf,
				     uint64_t len)
{
	while (len) {
		const size_t at = (size_t)(off % s->part_size);
		const size_t n = (size_t)MIN(len, s->part_size - at);
		struct part_buf *b;
		struct gdump_error *err = s->stop ? sink_s3_error(s) :
						    part_find(s, off / s->part_size, &b);

		if (err)
			return err;
		if (buf) {
			memcpy(b->data + at, buf, n);
			buf += n;
		}
		b->have += n;
		if (b->index && b->have >= s->part_size)
			part_submit(s, b, s->part_size);
		off += n, len -= n;
	}
	return NULL;
}

/* Lock held: zeros up to @off, if they count */
static struct gdump_error *parts_skip(struct sink_s3 *s, uint64_t off)
{
	struct gdump_error *err = NULL;

	if (s->sink.ascending && off > s->pos) {
		err = parts_put(s, s->pos, NULL, off - s->pos);
		s->pos = off;
	}
	return err;
}

static struct gdump_error *sink_s3_write(struct sink *sink, uint64_t off, const void *buf, size_t len)
{
	struct sink_s3 *s = (struct sink_s3 *)sink;
	struct gdump_error *err;

	pthread_mutex_lock(&s->lock);
	err = parts_skip(s, off);
	if (!err)
		err = parts_put(s, off, buf, len);
	s->pos = MAX(s->pos, off + len);
	pthread_mutex_unlock(&s->lock);
	return err;
}

/* --- the end --- */

/* Lock held: submit the parts that are not yet; what was not written to them is zero. */
static struct gdump_error *parts_submit_rest(struct sink_s3 *s, uint64_t size)
{
	const uint64_t num = div_up(size, s->part_size);
	struct gdump_error *err = NULL;

	for (uint64_t i = 0; !err && i < num; i++) {
		struct part_buf *b;

		if (s->is_submitted[i])
			continue;
		err = part_find(s, i, &b);
		if (!err)
			part_submit(s, b, (size_t)MIN(size - i * s->part_size, s->part_size));
	}
	return err;
}

static void sink_s3_wait(struct sink_s3 *s)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += POLL_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&s->change, &s->lock, &until);
}

/* Lock held: wait until all parts have arrived. */
static struct gdump_error *parts_wait(struct sink_s3 *s)
{
	s->finishing = true;
	pthread_cond_broadcast(&s->change);
	while (!s->stop && (!s->begun || parts_move(s))) {
		if (s->cancel && s->cancel(s->cancel_arg))
			s->stop = true;
		else
			sink_s3_wait(s);
	}
	return s->stop ? sink_s3_error(s) : NULL;
}

static struct gdump_error *sink_s3_finish(struct sink *sink, uint64_t size)
{
	struct sink_s3 *s = (struct sink_s3 *)sink;
	CLEANUP_HTTP struct http *h = NULL;
	struct gdump_error *err;

	pthread_mutex_lock(&s->lock);
	err = parts_skip(s, size);
	if (!err)
		err = parts_submit_rest(s, size);
	if (!err)
		err = parts_wait(s);
	pthread_mutex_unlock(&s->lock);
	if (!err)
		err = s3_connect(s->s3, &h);
	if (err)
		return err;
	uploaders_join(s);
	s->completes = true;
	return s3_complete(s->s3, h, s->parts, (unsigned int)div_up(size, s->part_size), s->replace);
}

static void sink_s3_interrupt(struct sink *sink)
{
	struct sink_s3 *s = (struct sink_s3 *)sink;

	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->change);
	pthread_mutex_unlock(&s->lock);
}

static struct gdump_error *sink_s3_discard(struct sink *sink)
{
	struct sink_s3 *s = (struct sink_s3 *)sink;

	s->completes = false;
	sink_s3_interrupt(sink);
	uploaders_join(s);
	return s3_has_begun(s->s3) ? s3_discard(s->s3) : NULL;
}

static void sink_s3_free(struct sink_s3 *s)
{
	pthread_cond_destroy(&s->change);
	pthread_mutex_destroy(&s->lock);
	for (size_t i = 0; i < NUM_BUFFERS; i++)
		free(s->bufs[i].data);
	gdump_error_destroy(s->err);
	s3_close(s->s3);
	free(s->parts);
	free(s->is_submitted);
	free(s->where);
	free(s);
}

static void sink_s3_close(struct sink *sink)
{
	gdump_error_destroy(sink_s3_discard(sink));
	sink_s3_free((struct sink_s3 *)sink);
}

static const struct sink_ops sink_s3_ops = {
	.write = sink_s3_write,
	.finish = sink_s3_finish,
	.close = sink_s3_close,
	.interrupt = sink_s3_interrupt,
	.discard = sink_s3_discard,
};

static struct sink_s3 *sink_s3_new(const char *where, const struct sink_options *opt)
{
	struct sink_s3 *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->change, NULL);
	s->sink = (struct sink){ .ops = &sink_s3_ops, .scatters = true, .amends = true };
	s->replace = opt->force;
	s->cancel = opt->cancel;
	s->cancel_arg = opt->cancel_arg;
	s->where = strdup(where);
	s->parts = calloc(S3_PARTS_MOST, sizeof(*s->parts));
	s->is_submitted = calloc(S3_PARTS_MOST, sizeof(*s->is_submitted));
	if (s->where && s->parts && s->is_submitted)
		return s;
	sink_s3_free(s);
	return NULL;
}

struct gdump_error *sink_s3_create(const char *where, const struct sink_options *opt, struct sink **ret)
{
	const uint64_t part_size = MAX(round_up(div_up(opt->max_size, S3_PARTS_MOST), 1 << 20), PART_SIZE);
	struct sink_s3 *s = sink_s3_new(where, opt);
	struct gdump_error *err;

	if (!s)
		return error_nomem();
	s->part_size = (size_t)part_size;
	err = s3_open(where, opt->store, sink_s3_is_stopped, s, &opt->debug, &s->s3);
	if (!err && part_size > S3_PART_MOST)
		err = error_new(GDUMP_ERR_UNSUPPORTED, "%s: the dump could have %" PRIu64 " bytes, too many for S3",
				where, opt->max_size);
	if (!err)
		err = uploader_start(s);
	if (err) {
		sink_s3_free(s);
		return err;
	}
	debug_log(&opt->debug, GDUMP_DEBUG_STEP, "%s: parts of %zu bytes are uploaded, %d at a time",
		  where, s->part_size, NUM_UPLOADS);
	*ret = &s->sink;
	return NULL;
}

struct gdump_error *sink_s3_try(const char *where, const struct sink_options *opt)
{
	struct s3 *s3 = NULL;
	CLEANUP_HTTP struct http *h = NULL;
	struct gdump_error *err = s3_open(where, opt->store, NULL, NULL, &opt->debug, &s3);

	if (!err)
		err = s3_connect(s3, &h);
	if (!err)
		err = s3_check(s3, h, opt->force);
	http_close(TAKE_PTR(h));
	s3_close(s3);
	return err;
}
