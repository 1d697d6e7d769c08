/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/kdump_parts.c - whether files are the parts of one dump, and all of them
 *
 * All parts of a dump have the same main header, notes and bitmaps.  Notes must be compared
 * too, since two dumps of one guest may differ only in the registers there.
 */
#include "kdump.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum { CHUNK = 65536 };

static int kdump_part_by_start(const void *a, const void *b)
{
	const struct kdump_part *x = a, *y = b;

	if (x->start != y->start)
		return x->start > y->start ? 1 : -1;
	return (x->end > y->end) - (x->end < y->end);
}

/* Whether two files have the same bytes at [off, off + len). */
static struct gdump_error *kdump_part_compare(const struct kdump_part *a,
					      const struct kdump_part *b, uint64_t off,
					      uint64_t len, const char *what)
{
	CLEANUP_FREE unsigned char *buf = malloc(2 * CHUNK);
	struct gdump_error *err = buf ? NULL : error_nomem();

	for (uint64_t done = 0; !err && done < len; done += CHUNK) {
		const size_t n = (size_t)MIN(len - done, CHUNK);

		err = error_prefix(bytes_read(a->in, off + done, buf, n), "%s", a->name);
		if (!err)
			err = error_prefix(bytes_read(b->in, off + done, buf + CHUNK, n), "%s",
					   b->name);
		if (!err && memcmp(buf, buf + CHUNK, n))
			err = error_new(GDUMP_ERR_USAGE,
					"%s and %s are parts of different dumps: their %s differ",
					a->name, b->name, what);
	}
	return err;
}

/* Read the range of @part from its headers, and compare these with those of @first. */
static struct gdump_error *kdump_part_check(struct kdump_part *part, const struct kdump_part *first,
					    const struct kdump_sub *first_sub)
{
	struct kdump_layout l;
	struct kdump_header h;
	struct kdump_sub s;
	struct gdump_error *err = kdump_read_headers(part->in, &h, &s);

	if (err)
		return error_prefix(err, "%s", part->name);
	if (!s.split)
		return error_new(GDUMP_ERR_USAGE, "%s is a complete dump, not a part of one",
				 part->name);
	part->start = s.start_pfn;
	part->end = s.end_pfn;
	if (part == first)
		return NULL;
	err = kdump_part_compare(first, part, 0, KDUMP_HEAD_SIZE, "headers");
	if (err)
		return err;
	if (s.max_mapnr != first_sub->max_mapnr || s.off_note != first_sub->off_note ||
	    s.size_note != first_sub->size_note)
		return error_new(GDUMP_ERR_USAGE,
				 "%s and %s are parts of different dumps: their sub-headers differ",
				 first->name, part->name);
	l = kdump_layout(&h, s.max_mapnr, 0);
	err = kdump_part_compare(first, part, s.off_note, s.size_note, "notes");
	if (!err)
		err = kdump_part_compare(first, part, l.bitmap1, l.desc - l.bitmap1, "bitmaps");
	return err;
}

static struct gdump_error *kdump_part_missing(uint64_t start, uint64_t end)
{
	return error_new(GDUMP_ERR_PART,
			 "the dump is split, and the part with pages 0x%" PRIx64 "-0x%" PRIx64 " was not given: pass all parts",
			 start, end - 1);
}

/* Fail unless the parts have each page, from the first to the last, exactly once. */
static struct gdump_error *kdump_parts_check_cover(const struct kdump_part *parts, size_t num,
						   uint64_t max_mapnr)
{
	const struct kdump_part *last = parts;
	uint64_t next = 0;

	for (size_t i = 0; i < num; i++) {
		const struct kdump_part *p = &parts[i];

		if (p->end == p->start)
			continue;       /* makedumpfile writes such files */
		if (p->end < p->start)
			return error_new(GDUMP_ERR_CORRUPT,
					 "%s: invalid range of pages 0x%" PRIx64 "-0x%" PRIx64,
					 p->name, p->start, p->end);
		if (p->start > next)
			return kdump_part_missing(next, p->start);
		if (p->start < next)
			return error_new(GDUMP_ERR_USAGE, "%s and %s both have page 0x%" PRIx64,
					 last->name, p->name, p->start);
		next = p->end;
		last = p;
	}
	return next < max_mapnr ? kdump_part_missing(next, max_mapnr) : NULL;
}

struct gdump_error *kdump_check_parts(struct kdump_part *parts, size_t num,
				      const struct kdump_sub *s)
{
	struct gdump_error *err = NULL;

	if (num == 1 && !s->split)
		return NULL;
	for (size_t i = 0; !err && i < num; i++)
		err = kdump_part_check(&parts[i], &parts[0], s);
	if (err)
		return err;
	qsort(parts, num, sizeof(*parts), kdump_part_by_start);
	return kdump_parts_check_cover(parts, num, s->max_mapnr);
}
