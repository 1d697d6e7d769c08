/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bisect.h"
#include "../util/bits.h"
#include "../util/clock.h"

void source_init(struct source *s, const struct source_ops *ops)
{
	s->ops = ops;
	pthread_mutex_init(&s->lock, NULL);
}

struct gdump_error *source_set_files(struct source *s, struct bytes *const *files, size_t num)
{
	s->files = calloc(num, sizeof(*files));
	if (!s->files)
		return error_nomem();
	memcpy(s->files, files, num * sizeof(*files));
	s->num_files = num;
	return NULL;
}

void source_close(struct source *s)
{
	if (!s)
		return;
	free(s->files);
	spans_deinit(&s->damaged);
	image_deinit(&s->image);
	pthread_mutex_destroy(&s->lock);
	s->ops->close(s);
}

static bool source_is_damaged(const struct source *s, uint64_t paddr, uint64_t len)
{
	return s->damaged.num && spans_touch(&s->damaged, paddr, len);
}

static struct gdump_error *source_read_locked(struct source *s, uint64_t paddr, void *buf,
					      size_t len)
{
	struct gdump_error *err;

	if (source_is_damaged(s, paddr, len))
		return error_new(GDUMP_ERR_CORRUPT,
				 "memory at 0x%" PRIx64 " is damaged in the input", paddr);

	if (s->ops->order != READ_ASCENDING)
		return s->ops->read(s, paddr, buf, len);
	pthread_mutex_lock(&s->lock);
	err = s->ops->read(s, paddr, buf, len);
	pthread_mutex_unlock(&s->lock);
	return err;
}

static struct gdump_error *source_no_range(uint64_t paddr)
{
	return error_new(GDUMP_ERR_NODATA, "address 0x%" PRIx64 " is in no range of memory", paddr);
}

struct gdump_error *source_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	const struct image *image = &s->image;
	const struct gdump_range *ranges = image->all_ranges ? image->all_ranges : image->ranges;
	const size_t num = image->all_ranges ? image->num_all_ranges : image->num_ranges;
	const uint64_t first = paddr;
	unsigned char *p = buf;
	bool some = !len;

	if (paddr + len < paddr)
		return error_new(GDUMP_ERR_USAGE,
				 "%zu bytes at 0x%" PRIx64 " exceed the address space", len, paddr);
	for (size_t i = BISECT(num, k, range_last(&ranges[k]) >= paddr); i < num && len; i++) {
		const struct gdump_range *r = &ranges[i];
		struct gdump_error *err;
		size_t gap = 0, n;

		if (r->start > paddr)
			gap = (size_t)MIN(r->start - paddr, len);
		memset(p, 0, gap);
		p += gap, paddr += gap, len -= gap;
		n = len ? (size_t)MIN(len, r->size - (paddr - r->start)) : 0;
		if (!n)
			break;
		err = source_read_locked(s, paddr, p, n);
		if (err)
			return err;
		p += n, paddr += n, len -= n;
		some = true;
	}
	memset(p, 0, len);
	return some ? NULL : source_no_range(first);
}

struct gdump_error *source_has(struct source *s, uint64_t paddr, size_t len)
{
	const uint32_t page_size = s->image.page_size;

	while (len) {
		const struct gdump_range *r = image_range_at(&s->image, paddr);
		const size_t in_page = (size_t)MIN(len, page_size - paddr % page_size);
		const size_t n = r ? (size_t)MIN(in_page, r->size - (paddr - r->start)) : 0;
		unsigned char state = PAGE_THERE, byte;
		struct gdump_error *err = NULL;

		if (r && s->ops->has_absent)
			err = source_scan(s, paddr / page_size, 1, &state, false);
		if (err)
			return err;
		/* the error of read() may give the reason */
		if (r && state == PAGE_ABSENT)
			err = source_read(s, paddr, &byte, 1);
		if (err)
			return err;
		if (!r)
			return source_no_range(paddr);
		if (state == PAGE_ABSENT)
			return error_new(GDUMP_ERR_NODATA,
					 "memory at 0x%" PRIx64 " is not in the dump", paddr);
		paddr += n, len -= n;
	}
	return NULL;
}

struct gdump_error *source_scan(struct source *s, uint64_t pfn, size_t num, unsigned char *state,
				bool holes)
{
	const uint64_t size = s->image.page_size;

	if (!s->ops->scan) {
		memset(state, PAGE_THERE, num);
		return NULL;
	}
	/* what is damaged may be a hole only because of that: it has to be read */
	return s->ops->scan(s, pfn, num, state, holes && !source_is_damaged(s, pfn * size, num * size));
}

uint64_t source_gap(struct source *s, uint64_t pfn, uint64_t num, enum page_state *state)
{
	const uint64_t size = s->image.page_size;

	if (!num || !s->ops->gap || source_is_damaged(s, pfn * size, num * size))
		return 0;
	return s->ops->gap(s, pfn, num, state);
}

struct gdump_error *source_usable(const struct source *s)
{
	return s->ops->encryption ? s->ops->encryption->usable(s) : NULL;
}

struct gdump_error *source_dumpable(const struct source *s, bool whole)
{
	return whole && s->ops->pv_dump ? NULL : source_usable(s);
}

bool source_is_locked(const struct source *s)
{
	CLEANUP_ERROR struct gdump_error *err = source_usable(s);

	return err;
}

struct gdump_error *source_pause(struct source *s, bool cpus)
{
	struct gdump_error *err;

	if (!s->ops->guest || !s->ops->guest->pause)
		return NULL;
	err = s->ops->guest->pause(s, cpus);
	if (!err && !s->moment_ms)
		s->moment_ms = clock_wall_ms();
	return err;
}

struct gdump_error *source_resume(struct source *s)
{
	return s->ops->guest && s->ops->guest->resume ? s->ops->guest->resume(s) : NULL;
}

struct gdump_error *source_overdue(struct source *s, uint64_t progress)
{
	return s->ops->guest && s->ops->guest->overdue ? s->ops->guest->overdue(s, progress) : NULL;
}

struct gdump_error *source_torn(struct source *s)
{
	return s->ops->guest && s->ops->guest->torn ? s->ops->guest->torn(s) : NULL;
}

struct gdump_error *source_begin(struct source *s, const struct image **image,
				 const struct pv_dump_section **sections)
{
	*image = &s->image;
	*sections = NULL;
	return s->ops->pv_dump ? s->ops->pv_dump->begin(s, image, sections) : NULL;
}

struct gdump_error *source_end(struct source *s, bool resume)
{
	struct gdump_error *err;

	if (!s->ops->pv_dump)
		return NULL;
	err = s->ops->pv_dump->end(s);
	return err || !resume ? err : source_resume(s);
}

const void *source_borrow(struct source *s, uint64_t paddr, size_t len)
{
	const struct gdump_range *r;

	if (!s->ops->borrow || s->is_mutable || source_is_damaged(s, paddr, len))
		return NULL;
	r = image_range_at(&s->image, paddr);
	if (!r || !range_fits(paddr - r->start, len, r->size))
		return NULL;
	return s->ops->borrow(s, paddr, len);
}

bool source_stored(struct source *s, uint64_t pfn, size_t num, uint32_t flag, void *buf,
		   struct stored_page *ret)
{
	const uint64_t size = s->image.page_size;

	return s->ops->stored && !source_is_damaged(s, pfn * size, num * size) &&
	       s->ops->stored(s, pfn, num, flag, buf, ret);
}

struct gdump_error *source_affected(struct source *s, const struct bytes *file,
				    const struct spans *broken, struct damage *to)
{
	struct gdump_error *err = NULL;

	if (s->ops->affected)
		err = s->ops->affected(s, file, broken, to);
	else
		to->tables = true;
	spans_sort(&to->memory);
	return err;
}
