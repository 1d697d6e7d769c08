/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mount_ahead.c - a ring of blocks that threads fill
 *
 * a->lock guards the states of the blocks; a block that is being filled, or that has users, keeps
 * its number and its data.
 */
#include "mount_ahead.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK = 512 << 10,
	BLOCKS_PER_THREAD = 3,
	MIN_BLOCKS = 8,
	NEAR = 1 << 20,                 /* several threads serve one reader, so that its reads
					 * arrive in some disorder              */
	MIN_RUN = 3,
};

enum block_state { BLOCK_FREE, BLOCK_WANTED, BLOCK_FILLING, BLOCK_FULL, BLOCK_FAILED };

struct block {
	enum block_state state;
	uint64_t number;                /* offset in the view / BLOCK           */
	uint64_t used;                  /* by a->clock                          */
	unsigned int users;
	unsigned char *data;
};

struct mount_ahead {
	struct gdump_view *view;
	uint64_t size;
	pthread_mutex_t lock;
	pthread_cond_t wanted, changed;
	struct block *blocks;
	size_t num_blocks;
	uint64_t clock;
	pthread_t *threads;
	unsigned int num_threads;
	bool stop;
};

static size_t block_len(const struct mount_ahead *a, uint64_t number)
{
	const uint64_t left = a->size - number * BLOCK;

	return left < BLOCK ? (size_t)left : BLOCK;
}

/* Lock held: the block with that number, or NULL */
static struct block *block_find(struct mount_ahead *a, uint64_t number)
{
	for (size_t i = 0; i < a->num_blocks; i++) {
		if (a->blocks[i].state != BLOCK_FREE && a->blocks[i].number == number)
			return &a->blocks[i];
	}
	return NULL;
}

/* Lock held: give that number to the block that was used the longest ago; NULL: all are in use. */
static struct block *block_take(struct mount_ahead *a, uint64_t number, enum block_state state)
{
	struct block *oldest = NULL;

	for (size_t i = 0; i < a->num_blocks; i++) {
		struct block *b = &a->blocks[i];

		if (b->users || b->state == BLOCK_FILLING || b->state == BLOCK_WANTED)
			continue;
		if (!oldest || b->state == BLOCK_FREE || (oldest->state != BLOCK_FREE && b->used < oldest->used))
			oldest = b;
	}
	if (!oldest)
		return NULL;
	oldest->number = number;
	oldest->state = state;
	oldest->used = ++a->clock;
	return oldest;
}

/* Lock held, but not while reading */
static void block_fill(struct mount_ahead *a, struct block *b)
{
	const uint64_t number = b->number;
	struct gdump_error *err;

	b->state = BLOCK_FILLING;
	pthread_mutex_unlock(&a->lock);
	err = gdump_view_read(a->view, number * BLOCK, b->data, block_len(a, number));
	pthread_mutex_lock(&a->lock);
	/* who needs a part of it will read that, and get the error if that is broken */
	b->state = err ? BLOCK_FAILED : BLOCK_FULL;
	gdump_error_destroy(err);
	pthread_cond_broadcast(&a->changed);
}

/* Lock held: the wanted block with the lowest number, or NULL */
static struct block *block_wanted(struct mount_ahead *a)
{
	struct block *first = NULL;

	for (size_t i = 0; i < a->num_blocks; i++) {
		struct block *b = &a->blocks[i];

		if (b->state == BLOCK_WANTED && (!first || b->used < first->used))
			first = b;
	}
	return first;
}

static void *mount_ahead_run(void *arg)
{
	struct mount_ahead *a = arg;

	pthread_mutex_lock(&a->lock);
	while (!a->stop) {
		struct block *b = block_wanted(a);

		if (b)
			block_fill(a, b);
		else
			pthread_cond_wait(&a->wanted, &a->lock);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* Lock held: want the blocks that follow @number. */
static void mount_ahead_want(struct mount_ahead *a, uint64_t number)
{
	const uint64_t end = (a->size + BLOCK - 1) / BLOCK;
	bool some = false;

	for (uint64_t i = 1; i <= 2 * a->num_threads && number + i < end; i++) {
		if (!block_find(a, number + i))
			some |= block_take(a, number + i, BLOCK_WANTED) != NULL;
	}
	if (some)
		pthread_cond_broadcast(&a->wanted);
}

/* Copy a part of a block; false: it cannot be had as a whole. */
static bool mount_ahead_copy(struct mount_ahead *a, uint64_t number, size_t at, void *buf, size_t len)
{
	struct block *b;
	bool full;

	pthread_mutex_lock(&a->lock);
	b = block_find(a, number);
	if (!b)
		b = block_take(a, number, BLOCK_WANTED);
	if (!b) {
		pthread_mutex_unlock(&a->lock);
		return false;
	}
	/* before the next ones are wanted, which may not take its place */
	b->users++;
	mount_ahead_want(a, number);
	if (b->state == BLOCK_WANTED)
		block_fill(a, b);
	while (b->state == BLOCK_FILLING)
		pthread_cond_wait(&a->changed, &a->lock);
	b->used = ++a->clock;
	full = b->state == BLOCK_FULL;
	pthread_mutex_unlock(&a->lock);
	if (full)
		memcpy(buf, b->data + at, len);
	pthread_mutex_lock(&a->lock);
	b->users--;
	pthread_mutex_unlock(&a->lock);
	return full;
}

/* Whether the reader reads in one direction */
static bool mount_reader_is_ordered(struct mount_reader *r, uint64_t off, size_t len)
{
	const uint64_t next = r->next;
	const bool near = off + NEAR >= next && off <= next + NEAR;

	if (!near) {
		r->run = 0;
		r->next = off + len;
		return false;
	}
	if (off + len > next)
		r->next = off + len;
	return ++r->run >= MIN_RUN;
}

struct gdump_error *mount_ahead_read(struct mount_ahead *a, struct mount_reader *reader, uint64_t off,
				     void *buf, size_t len)
{
	unsigned char *to = buf;

	if (!mount_reader_is_ordered(reader, off, len) || off > a->size || len > a->size - off)
		return gdump_view_read(a->view, off, buf, len);
	while (len) {
		const size_t at = (size_t)(off % BLOCK);
		const size_t n = len < BLOCK - at ? len : BLOCK - at;

		if (!mount_ahead_copy(a, off / BLOCK, at, to, n)) {
			struct gdump_error *err = gdump_view_read(a->view, off, to, n);

			if (err)
				return err;
		}
		to += n, off += n, len -= n;
	}
	return NULL;
}

/* Signals are for the thread that waits for them. */
static bool mount_ahead_start_threads(struct mount_ahead *a, unsigned int num)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (a->num_threads < num &&
	       !pthread_create(&a->threads[a->num_threads], NULL, mount_ahead_run, a))
		a->num_threads++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return a->num_threads;
}

struct mount_ahead *mount_ahead_start(struct gdump_view *v, unsigned int threads)
{
	struct mount_ahead *a = calloc(1, sizeof(*a));
	bool good;

	if (!a)
		return NULL;
	a->view = v;
	a->size = gdump_view_size(v);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->wanted, NULL);
	pthread_cond_init(&a->changed, NULL);
	a->num_blocks = BLOCKS_PER_THREAD * threads < MIN_BLOCKS ? MIN_BLOCKS : BLOCKS_PER_THREAD * threads;
	a->blocks = calloc(a->num_blocks, sizeof(*a->blocks));
	a->threads = calloc(threads, sizeof(*a->threads));
	good = a->blocks && a->threads;
	for (size_t i = 0; good && i < a->num_blocks; i++)
		good = (a->blocks[i].data = malloc(BLOCK));
	if (good && mount_ahead_start_threads(a, threads))
		return a;
	mount_ahead_stop(a);
	return NULL;
}

void mount_ahead_stop(struct mount_ahead *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_broadcast(&a->wanted);
	pthread_mutex_unlock(&a->lock);
	for (unsigned int i = 0; i < a->num_threads; i++)
		pthread_join(a->threads[i], NULL);
	for (size_t i = 0; a->blocks && i < a->num_blocks; i++)
		free(a->blocks[i].data);
	pthread_cond_destroy(&a->changed);
	pthread_cond_destroy(&a->wanted);
	pthread_mutex_destroy(&a->lock);
	free(a->blocks);
	free(a->threads);
	free(a);
}
