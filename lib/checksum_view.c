/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "checksum_view.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "checksum.h"
#include "util/bits.h"
#include "util/cleanup.h"

enum {
	MAX_HOLE_REGIONS = 1 << 16,     /* how far to look for the end of a hole at once */
	BATCH = 1 << 20,                /* bytes that are compared at once; a region is no larger */
};

enum region_state { REGION_UNREAD, REGION_READ, REGION_GOOD, REGION_BROKEN };

struct checksum_view {
	struct bytes bytes;
	struct bytes *inner;
	struct checksum_list list;
	pthread_mutex_t loading;
	atomic_bool enforced;           /* the list is loaded                   */
	_Atomic unsigned char *state;   /* of each region                       */
};

/* Region @i has the contents @buf; NULL: it must be read first. */
static struct gdump_error *checksum_view_compare(struct checksum_view *v, uint64_t i,
						 const unsigned char *buf)
{
	const size_t len = checksum_list_region_size(&v->list, i);
	CLEANUP_FREE unsigned char *own = buf ? NULL : malloc(len);
	struct gdump_error *err = buf || own ? NULL : error_nomem();

	if (!err && own)
		err = bytes_read(v->inner, i * v->list.region, own, len);
	if (!err)
		v->state[i] = checksum_list_fits(&v->list, i, buf ? buf : own) ? REGION_GOOD :
										 REGION_BROKEN;
	return err;
}

/* Something of region @i was read; @buf: all of it, or NULL. */
static struct gdump_error *checksum_view_look(struct checksum_view *v, uint64_t i,
					      const unsigned char *buf)
{
	struct gdump_error *err;

	if (v->state[i] == REGION_GOOD)
		return NULL;
	if (v->state[i] != REGION_BROKEN) {
		err = checksum_view_compare(v, i, buf);
		if (err || v->state[i] == REGION_GOOD)
			return err;
	}
	return checksum_mismatch(i * v->list.region, checksum_list_region_size(&v->list, i), false);
}

/* Something of the regions from @off up to @end was read: they are compared when they must fit. */
static void checksum_view_note(struct checksum_view *v, uint64_t off, uint64_t end)
{
	if (off >= end)
		return;
	for (uint64_t i = off / v->list.region, last = (end - 1) / v->list.region; i <= last; i++) {
		if (v->state[i] == REGION_UNREAD)
			v->state[i] = REGION_READ;
	}
}

/* [off, off + len) was read into @buf; what follows the regions is the checksum itself. */
static struct gdump_error *checksum_view_look_all(struct checksum_view *v, uint64_t off,
						  const unsigned char *buf, size_t len)
{
	const uint64_t end = MIN(off + len, v->list.size);
	struct gdump_error *err = NULL;

	if (!v->enforced) {
		checksum_view_note(v, off, end);
		return NULL;
	}
	for (uint64_t i = off / v->list.region; !err && i < v->list.num; i++) {
		const uint64_t start = i * v->list.region;
		const bool whole = start >= off &&
				   start + checksum_list_region_size(&v->list, i) <= end;

		if (start >= end)
			break;
		err = checksum_view_look(v, i, whole ? buf + (start - off) : NULL);
	}
	return err;
}

static struct gdump_error *checksum_view_read(struct bytes *b, uint64_t off, void *buf, size_t len)
{
	struct checksum_view *v = (struct checksum_view *)b;
	struct gdump_error *err = bytes_read(v->inner, off, buf, len);

	return err ? err : checksum_view_look_all(v, off, buf, len);
}

static struct gdump_error *checksum_view_readv(struct bytes *b, uint64_t off,
					       const struct iovec *iov, int num)
{
	struct checksum_view *v = (struct checksum_view *)b;
	struct gdump_error *err = bytes_readv(v->inner, off, iov, num);

	for (int i = 0; !err && i < num; off += iov[i++].iov_len)
		err = checksum_view_look_all(v, off, iov[i].iov_base, iov[i].iov_len);
	return err;
}

/* Where a region begins that was not zero when the file was written, a hole ends. */
static uint64_t checksum_view_good_hole(const struct checksum_view *v, uint64_t off, uint64_t hole)
{
	const uint64_t first = off / v->list.region;

	for (uint64_t i = first; i < v->list.num; i++) {
		const uint64_t start = i * v->list.region;

		if (start >= off + hole)
			break;
		if (i - first == MAX_HOLE_REGIONS || !checksum_list_fits(&v->list, i, NULL))
			return start > off ? start - off : 0;
	}
	return hole;
}

static uint64_t checksum_view_hole(struct bytes *b, uint64_t off, uint64_t len)
{
	struct checksum_view *v = (struct checksum_view *)b;

	if (!v->enforced)
		return bytes_hole(v->inner, off, len);
	return checksum_view_good_hole(v, off, bytes_hole(v->inner, off, len));
}

static bool checksum_view_written(struct bytes *b, uint64_t off, uint64_t len)
{
	return bytes_written(((struct checksum_view *)b)->inner, off, len);
}

static void checksum_view_close(struct bytes *b)
{
	struct checksum_view *v = (struct checksum_view *)b;

	bytes_close(v->inner);
	pthread_mutex_destroy(&v->loading);
	free(v->list.crcs);
	free(v->state);
	free(v);
}

static const struct bytes_ops checksum_view_ops = {
	.read = checksum_view_read,
	.readv = checksum_view_readv,
	.hole = checksum_view_hole,
	.written = checksum_view_written,
	.close = checksum_view_close,
};

struct gdump_error *checksum_view_open(struct bytes *inner, struct bytes **ret)
{
	struct checksum_list list = { 0 };
	bool there;
	/* a broken one is reported by whoever wants to compare */
	CLEANUP_ERROR struct gdump_error *err = checksum_list_find(&list, inner, &there);
	struct checksum_view *v;

	*ret = inner;
	if (err || !there)
		return NULL;
	v = calloc(1, sizeof(*v));
	if (!v)
		return error_nomem();
	v->state = calloc(list.num + 1, sizeof(*v->state));
	if (!v->state) {
		free(v);
		return error_nomem();
	}
	v->bytes = *inner;
	v->bytes.ops = &checksum_view_ops;
	v->bytes.map = NULL;
	v->inner = inner;
	v->list = list;
	pthread_mutex_init(&v->loading, NULL);
	*ret = &v->bytes;
	return NULL;
}

struct bytes *checksum_view_plain(struct bytes *b)
{
	return b->ops == &checksum_view_ops ? ((struct checksum_view *)b)->inner : b;
}

void checksum_view_relax(struct bytes *b)
{
	if (b->ops == &checksum_view_ops)
		((struct checksum_view *)b)->enforced = false;
}

/* Compare the regions from @first on that were read before, as far as they are next to each other
 * and fit into @buf.
 */
static struct gdump_error *checksum_view_compare_run(struct checksum_view *v, uint64_t first,
						     unsigned char *buf)
{
	const uint64_t end = MIN(first + BATCH / v->list.region, v->list.num);
	struct gdump_error *err;
	size_t len = 0;

	for (uint64_t i = first; i < end && v->state[i] == REGION_READ; i++)
		len += checksum_list_region_size(&v->list, i);
	err = bytes_read(v->inner, first * v->list.region, buf, len);
	for (size_t at = 0; !err && at < len; at += v->list.region)
		err = checksum_view_compare(v, first + at / v->list.region, buf + at);
	return err;
}

/* Compare the regions that were read before; those that do not fit are added to @broken. */
static struct gdump_error *checksum_view_compare_read(struct checksum_view *v,
						      struct spans *broken)
{
	CLEANUP_FREE unsigned char *buf = malloc(BATCH);
	struct gdump_error *err = buf ? NULL : error_nomem();

	for (uint64_t i = 0; !err && i < v->list.num; i++) {
		if (v->state[i] == REGION_READ)
			err = checksum_view_compare_run(v, i, buf);
		if (!err && v->state[i] == REGION_BROKEN &&
		    !spans_add(broken, i * v->list.region, checksum_list_region_size(&v->list, i)))
			err = error_nomem();
	}
	spans_sort(broken);
	return err;
}

struct gdump_error *checksum_view_enforce(struct bytes *b, struct spans *broken, bool *ret)
{
	struct checksum_view *v = (struct checksum_view *)b;
	struct checksum_list list = { 0 };
	struct gdump_error *err = NULL;

	if (b->ops != &checksum_view_ops)
		return checksum_list_find(&list, b, ret);
	*ret = true;
	pthread_mutex_lock(&v->loading);
	if (!v->list.crcs)
		err = checksum_list_load(&v->list, v->inner);
	pthread_mutex_unlock(&v->loading);
	if (err)
		return err;
	v->enforced = true;
	err = checksum_view_compare_read(v, broken);
	if (err || !broken->num)
		return err;
	return checksum_mismatch(broken->list[0].start, broken->list[0].size, broken->num > 1);
}
