/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * snapshot_view.c - reading any memory of a snapshot while QEMU sends it
 *
 * Theory of operation.  A plan that omits pages has to read the guest's page structures, and the
 * guest should not be paused for that.  So the snapshot has begun already: a page that is
 * still write-protected after we have copied it from QEMU's process is as it was at that
 * moment (see prefetch.c).  QEMU removes the protection of a page only after it has written
 * it to the pipe.  So any other page is in the pipe or was, and a thread of ours collects
 * all that comes, for readers to find it, and for the dump later.
 *
 * What is collected takes memory.  When that is too much, the thread waits until the dump
 * takes the pages, or until a reader needs one; QEMU waits as well, and so does the guest if
 * it writes to a page that is still protected.
 */
#include "snapshot_view.h"

#include <inttypes.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum {
	LOOK_PAGES = 512,               /* whose protection is asked for at once */
	GIVE_MAX = 4096,                /* pages, in one step                   */
};

static const uint64_t store_enough = 256 << 20;         /* bytes */
static const uint64_t store_max = (uint64_t)1 << 30;    /* while a reader waits */

bool view_can_work(const struct memory_map *memory, const struct procmem *mem, uint32_t page_size)
{
	for (size_t i = 0; i < memory->num_slots; i++) {
		if ((memory->slots[i].paddr | memory->slots[i].size) % page_size)
			return false;
	}
	return procmem_reports_wp(mem);
}

void view_init(struct snapshot_view *v)
{
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->change, NULL);
	v->store = (struct page_store){ .page_size = v->page_size };
}

/* Collecting ---------------------------------------------------------------- */

static struct gdump_error *view_put(void *arg, uint64_t pfn, const void *data)
{
	struct snapshot_view *v = arg;
	struct gdump_error *err;

	pthread_mutex_lock(&v->lock);
	err = page_store_put(&v->store, pfn, data);
	if (v->waiting)
		pthread_cond_broadcast(&v->change);
	pthread_mutex_unlock(&v->lock);
	return err;
}

static bool view_wants(void *arg, uint64_t pfn)
{
	const struct snapshot_view *v = arg;

	return !page_store_find(&v->store, pfn);
}

struct page_sink view_sink(struct snapshot_view *v)
{
	return (struct page_sink){ .put = view_put, .wants = view_wants, .arg = v };
}

/* Wait while the store is full.  False: stop. */
static bool view_has_room(struct snapshot_view *v)
{
	bool stop;

	pthread_mutex_lock(&v->lock);
	while (!v->stop && v->store.bytes >= (v->waiting ? store_max : store_enough))
		pthread_cond_wait(&v->change, &v->lock);
	stop = v->stop;
	pthread_mutex_unlock(&v->lock);
	return !stop;
}

static void *view_run(void *arg)
{
	struct snapshot_view *v = arg;
	struct gdump_error *err = NULL;
	bool ended = false;

	while (!err && !ended && view_has_room(v))
		err = v->collect(v->arg, &ended);
	pthread_mutex_lock(&v->lock);
	v->err = err;
	v->ended = true;
	pthread_cond_broadcast(&v->change);
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

struct gdump_error *view_start(struct snapshot_view *v)
{
	const int rc = pthread_create(&v->thread, NULL, view_run, v);

	v->is_running = !rc;
	return rc ? error_os(rc, "cannot start a thread") : NULL;
}

struct gdump_error *view_stop(struct snapshot_view *v)
{
	if (!v->is_running)
		return NULL;
	pthread_mutex_lock(&v->lock);
	v->stop = true;
	pthread_cond_broadcast(&v->change);
	pthread_mutex_unlock(&v->lock);
	pthread_join(v->thread, NULL);
	v->is_running = false;
	return TAKE_PTR(v->err);
}

/* Reading ------------------------------------------------------------------- */

/* Lock held, but not while waiting: wait for a page that QEMU has sent or is about to. */
static const struct kept_page *view_await(struct snapshot_view *v, uint64_t pfn)
{
	const struct kept_page *page;

	v->waiting++;
	pthread_cond_broadcast(&v->change);
	while (!(page = page_store_find(&v->store, pfn)) && !v->stored_first && !v->ended &&
	       v->store.bytes < store_max)
		pthread_cond_wait(&v->change, &v->lock);
	v->waiting--;
	return page;
}

/* Bytes [off, off + len) of a page out of the stream */
static struct gdump_error *view_copy_sent(struct snapshot_view *v, uint64_t pfn, size_t off,
					  void *buf, size_t len)
{
	const struct kept_page *page;

	pthread_mutex_lock(&v->lock);
	page = view_await(v, pfn);
	if (page && page->data)
		memcpy(buf, page->data + off, len);
	pthread_mutex_unlock(&v->lock);
	if (page && !page->data)
		memset(buf, 0, len);
	return page ? NULL :
	       error_new(GDUMP_ERR_NODATA, "guest memory at 0x%" PRIx64 " %s", pfn * v->page_size + off,
			 v->stored_first ? "was given back before it was read" :
			 "did not come in time with QEMU's snapshot");
}

/* Replace in @buf, which has been read from @s, the pages that may have changed since. */
static struct gdump_error *view_correct(struct snapshot_view *v, const struct mem_slot *s,
					uint64_t paddr, unsigned char *buf, size_t len)
{
	const uint64_t page_size = v->page_size, end = paddr + len;
	struct gdump_error *err = NULL;
	unsigned char wp[LOOK_PAGES];
	uint64_t pfn = paddr / page_size, next;
	size_t num;

	for (; !err && pfn * page_size < end; pfn += num) {
		num = (size_t)MIN(div_up(end, page_size) - pfn, (uint64_t)LOOK_PAGES);
		procmem_wp_least(v->mem, s->hva + (pfn * page_size - s->paddr), page_size, num, wp);
		for (size_t i = 0; !err && i < num; i++, paddr = next) {
			next = MIN((pfn + i + 1) * page_size, end);
			if (wp[i] == WP_NONE)
				err = view_copy_sent(v, pfn + i, (size_t)(paddr % page_size),
						     buf + (len - (size_t)(end - paddr)),
						     (size_t)(next - paddr));
		}
	}
	return err;
}

struct gdump_error *view_read(struct snapshot_view *v, uint64_t paddr, void *buf, size_t len)
{
	struct gdump_error *err = memory_map_read(v->memory, v->mem, paddr, buf, len);
	unsigned char *to = buf;
	size_t n;

	for (size_t i = memory_map_find(v->memory, paddr); !err && len; i++) {
		const struct mem_slot *s = &v->memory->slots[i];

		n = (size_t)MIN(s->paddr + (s->size - 1) - paddr, (uint64_t)len - 1) + 1;
		/* ROM and memory of devices is never protected */
		if (s->kind == GDUMP_RANGE_RAM)
			err = view_correct(v, s, paddr, to, n);
		paddr += n;
		to += n;
		len -= n;
	}
	return err;
}

/* Passing on ---------------------------------------------------------------- */

bool view_is_empty(const struct snapshot_view *v)
{
	return v->given == v->store.cap;
}

struct gdump_error *view_give(struct snapshot_view *v, const struct page_sink *to, bool wait,
			      bool *worked)
{
	struct gdump_error *err = NULL;
	const struct kept_page *page;
	size_t room = GIVE_MAX;

	if (!to->reserve(to->arg, &room))
		room = wait ? GIVE_MAX : 0;
	*worked = room && !view_is_empty(v);
	if (!*worked)
		return NULL;
	for (size_t i = 0; !err && room && i < GIVE_MAX; i++) {
		page = page_store_next(&v->store, &v->given);
		if (!page)
			break;
		if (!to->wants(to->arg, kept_page_pfn(page)))
			continue;
		room--;
		err = to->put(to->arg, kept_page_pfn(page), page->data);
	}
	if (view_is_empty(v)) {
		page_store_deinit(&v->store);
		v->given = 0;
	}
	return err;
}

struct gdump_error *view_take(struct snapshot_view *v, struct page_store *ret)
{
	const struct page_store empty = { .page_size = v->page_size };
	struct gdump_error *err;

	pthread_mutex_lock(&v->lock);
	*ret = v->store;
	v->store = empty;
	err = TAKE_PTR(v->err);
	pthread_cond_broadcast(&v->change);
	pthread_mutex_unlock(&v->lock);
	return err;
}

void view_deinit(struct snapshot_view *v)
{
	gdump_error_destroy(view_stop(v));
	page_store_deinit(&v->store);
	pthread_cond_destroy(&v->change);
	pthread_mutex_destroy(&v->lock);
}
