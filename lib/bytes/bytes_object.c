/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * bytes_object.c - an object at a server, read in ranges
 *
 * The object is read in blocks, which are kept: the ones that were used last.  Who needs a block
 * that is missing requests it, and who needs one that is on its way waits for it.  Where the block
 * before is there, the object is read in order: then a request is for twice as many blocks as that
 * one came with, so that few requests are needed for much, and little is read in vain for a page
 * here and there.  Several threads that read in order request one window after the other, so that
 * several are on their way.
 *
 * What a request failed with after all its repetitions is the error of all further ones: the
 * network, the keys or the object are not what they were, and each page would wait as long again.
 */
#include "bytes.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../net/object.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum {
	BLOCK = 256 << 10,
	NUM_BLOCKS = BYTES_OBJECT_CACHE / BLOCK,
	WINDOW_MOST = 16,               /* blocks of a request                  */
	NUM_IDLE = 8,                   /* connections that are kept            */
};

enum block_state { BLOCK_FREE, BLOCK_COMING, BLOCK_HERE };

struct block {
	enum block_state state;
	unsigned int window;            /* how many blocks were requested with it */
	uint64_t index;                 /* in the object                        */
	uint64_t used;                  /* when; by bytes_object.uses           */
	unsigned char *data;            /* NULL: not allocated yet              */
};

struct bytes_object {
	struct bytes bytes;
	struct object *object;
	struct object_version version;

	pthread_mutex_t lock;           /* guards the rest                      */
	pthread_cond_t change;
	struct block blocks[NUM_BLOCKS];
	uint64_t uses;
	struct http *idle[NUM_IDLE];
	unsigned int num_idle;
	char *failure;                  /* why nothing can be read any more; NULL: it can */
	int failure_errnum;
};

/* Consecutive blocks that one request is for */
struct window {
	uint64_t first;
	unsigned int num;
	struct block *blocks[WINDOW_MOST];
};

/* --- connections --- */

static struct gdump_error *object_take_connection(struct bytes_object *b, struct http **ret)
{
	*ret = NULL;
	pthread_mutex_lock(&b->lock);
	if (b->num_idle)
		*ret = b->idle[--b->num_idle];
	pthread_mutex_unlock(&b->lock);
	return *ret ? NULL : object_connect(b->object, ret);
}

static void object_keep_connection(struct bytes_object *b, struct http *h)
{
	pthread_mutex_lock(&b->lock);
	if (b->num_idle < NUM_IDLE)
		b->idle[b->num_idle++] = TAKE_PTR(h);
	pthread_mutex_unlock(&b->lock);
	http_close(h);
}

/* --- blocks --- */

/* Lock held; NULL: it is not there */
static struct block *block_find(struct bytes_object *b, uint64_t index)
{
	for (size_t i = 0; i < NUM_BLOCKS; i++) {
		if (b->blocks[i].state != BLOCK_FREE && b->blocks[i].index == index)
			return &b->blocks[i];
	}
	return NULL;
}

/* Lock held: make room for block @index, in place of the one that was not used for longest.  NULL:
 * all are on their way, or there is no memory.
 */
static struct block *block_claim(struct bytes_object *b, uint64_t index)
{
	struct block *oldest = NULL;

	for (size_t i = 0; i < NUM_BLOCKS; i++) {
		struct block *x = &b->blocks[i];

		if (x->state != BLOCK_COMING && (!oldest || x->used < oldest->used))
			oldest = x;
	}
	if (!oldest)
		return NULL;
	if (!oldest->data)
		oldest->data = malloc(BLOCK);
	if (!oldest->data)
		return NULL;
	oldest->state = BLOCK_COMING;
	oldest->index = index;
	oldest->used = ++b->uses;
	return oldest;
}

/* Lock held: claim block @first, and further ones if the object is read in order. */
static void window_claim(struct bytes_object *b, uint64_t first, struct window *w)
{
	const struct block *before = first ? block_find(b, first - 1) : NULL;
	const unsigned int most = before ? MIN(2 * before->window, (unsigned int)WINDOW_MOST) : 1;
	const uint64_t end = div_up(b->bytes.size, BLOCK);

	*w = (struct window){ .first = first };
	while (w->num < most && first + w->num < end && !block_find(b, first + w->num)) {
		struct block *x = block_claim(b, first + w->num);

		if (!x)
			break;
		w->blocks[w->num++] = x;
	}
	for (unsigned int i = 0; i < w->num; i++)
		w->blocks[i]->window = w->num;
}

static struct gdump_error *window_request(struct bytes_object *b, const struct window *w, void *buf,
					  size_t len)
{
	struct http *h;
	struct gdump_error *err = object_take_connection(b, &h);

	if (err)
		return err;
	err = object_read(b->object, h, &b->version, w->first * BLOCK, buf, len);
	object_keep_connection(b, h);
	return err;
}

/* Lock held: the error for whoever reads; it is not that of a page. */
static struct gdump_error *bytes_object_error(const struct bytes_object *b)
{
	struct gdump_error *err = error_new(GDUMP_ERR_REMOTE, "%s", b->failure);

	if (err != error_nomem())
		err->errnum = b->failure_errnum;
	return err;
}

/* Lock held: a request has failed with @err, which is passed on. */
static struct gdump_error *bytes_object_fail(struct bytes_object *b, struct gdump_error *err)
{
	if (err == error_nomem() || err->code == GDUMP_ERR_CANCELED)
		return err;
	if (!b->failure) {
		b->failure = TAKE_PTR(err->message);
		b->failure_errnum = err->errnum ? err->errnum : EIO;
	}
	gdump_error_destroy(err);
	return b->failure ? bytes_object_error(b) : error_nomem();
}

static size_t block_size(const struct bytes_object *b, uint64_t index)
{
	return (size_t)MIN(b->bytes.size - index * BLOCK, (uint64_t)BLOCK);
}

/* Lock held, and released meanwhile: read the blocks of @w. */
static struct gdump_error *window_fill(struct bytes_object *b, const struct window *w)
{
	const size_t len = (size_t)MIN(b->bytes.size - w->first * BLOCK, (uint64_t)w->num * BLOCK);
	CLEANUP_FREE unsigned char *buf = NULL;
	struct gdump_error *err;

	pthread_mutex_unlock(&b->lock);
	buf = malloc(len);
	err = buf ? window_request(b, w, buf, len) : error_nomem();
	pthread_mutex_lock(&b->lock);
	for (unsigned int i = 0; i < w->num; i++) {
		struct block *x = w->blocks[i];

		if (!err)
			memcpy(x->data, buf + (size_t)i * BLOCK, block_size(b, x->index));
		x->state = err ? BLOCK_FREE : BLOCK_HERE;
	}
	pthread_cond_broadcast(&b->change);
	return err ? bytes_object_fail(b, err) : NULL;
}

/* Lock held, and released meanwhile: wait until a request has ended. */
static struct gdump_error *blocks_wait(struct bytes_object *b)
{
	for (size_t i = 0; i < NUM_BLOCKS; i++) {
		if (b->blocks[i].state == BLOCK_COMING) {
			pthread_cond_wait(&b->change, &b->lock);
			return NULL;
		}
	}
	return error_nomem();
}

/* Lock held, and released meanwhile: block @index */
static struct gdump_error *block_get(struct bytes_object *b, uint64_t index, struct block **ret)
{
	struct gdump_error *err = NULL;

	while (!err && (!(*ret = block_find(b, index)) || (*ret)->state != BLOCK_HERE)) {
		struct window w = { .num = 0 };

		if (b->failure)
			return bytes_object_error(b);
		if (!*ret)
			window_claim(b, index, &w);
		err = w.num ? window_fill(b, &w) : blocks_wait(b);
	}
	if (!err)
		(*ret)->used = ++b->uses;
	return err;
}

/* --- bytes --- */

static struct gdump_error *bytes_object_read(struct bytes *bytes, uint64_t off, void *buf, size_t len)
{
	struct bytes_object *b = (struct bytes_object *)bytes;
	struct gdump_error *err = NULL;
	unsigned char *to = buf;

	pthread_mutex_lock(&b->lock);
	while (len) {
		const size_t at = (size_t)(off % BLOCK), n = MIN(len, BLOCK - at);
		struct block *x;

		err = block_get(b, off / BLOCK, &x);
		if (err)
			break;
		memcpy(to, x->data + at, n);
		to += n, off += n, len -= n;
	}
	pthread_mutex_unlock(&b->lock);
	return err;
}

static void bytes_object_close(struct bytes *bytes)
{
	struct bytes_object *b = (struct bytes_object *)bytes;

	for (size_t i = 0; i < NUM_BLOCKS; i++)
		free(b->blocks[i].data);
	while (b->num_idle)
		http_close(b->idle[--b->num_idle]);
	object_close(b->object);
	free(b->failure);
	pthread_cond_destroy(&b->change);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static const struct bytes_ops bytes_object_ops = {
	.read = bytes_object_read,
	.close = bytes_object_close,
};

/* Ask the server for the object; its first block comes along. */
static struct gdump_error *bytes_object_begin(struct bytes_object *b, bool *found)
{
	struct block *first = block_claim(b, 0);
	struct http *h = NULL;
	struct gdump_error *err = first ? object_connect(b->object, &h) : error_nomem();
	size_t got;

	if (err)
		return err;
	err = object_read_first(b->object, h, first->data, BLOCK, &got, &b->version, found);
	object_keep_connection(b, h);
	first->state = err || !got ? BLOCK_FREE : BLOCK_HERE;
	first->window = 1;
	b->bytes.size = b->version.size;
	return err;
}

struct gdump_error *bytes_object_open(const char *where, const struct gdump_open_options *opt, bool *found,
				      struct bytes **ret)
{
	const struct debug debug = debug_of(opt);
	struct bytes_object *b = calloc(1, sizeof(*b));
	struct gdump_error *err;

	if (!b)
		return error_nomem();
	b->bytes = (struct bytes){ .ops = &bytes_object_ops, .kind = "" };
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->change, NULL);
	err = object_open(where, opt->store, opt->cancel, opt->cancel_arg, &debug, &b->object);
	if (!err) {
		b->object->is_named = true;
		err = bytes_object_begin(b, found);
	}
	if (err || (found && !*found)) {
		bytes_object_close(&b->bytes);
		return err;
	}
	*ret = &b->bytes;
	return NULL;
}
