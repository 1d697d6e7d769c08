/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * layout_place.c - the place of a guest's memory, once its kernel is found: steps 2 to 4 of layout.c
 */
#include "layout_inside.h"

#include <inttypes.h>
#include <string.h>

#include "../kernel/mappings.h"
#include "../util/bits.h"
#include "../util/clock.h"
#include "acpi_place.h"

#define MIB ((uint64_t)1 << 20)

enum {
	MAX_SEGMENTS = 16, MAX_ROUNDS = 32,
	MAX_STEPS = 64,                 /* MiB after a segment that are tried   */
};

static const uint64_t max_hole = 64 * MIB;

/* Memory without a large hole: [start, end) */
struct layout_segment {
	uint64_t start, end;
	bool placed;
	uint64_t hva;                   /* of @start, if it is placed           */
};

/* What the page tables say when some segments are placed */
struct layout_view {
	struct layout_segment segments[MAX_SEGMENTS];
	size_t num;
	uint64_t bytes;                 /* of the direct map                    */
	uint64_t outside;               /* page tables that were not found      */
};

/* Look at the page tables, as far as the source has them. */
static struct gdump_error *layout_look(struct layout *l, struct layout_view *ret)
{
	struct mappings m;
	struct gdump_error *err;

	if (clock_us() > l->end_us)
		return error_new(GDUMP_ERR_NODATA,
				 "its kernel was found, but to look at its page tables takes too long");
	err = mappings_find(&l->source, &m);
	if (err)
		return err;
	if (!l->offset)
		l->offset = mappings_direct_offset(&m);
	*ret = (struct layout_view){ .outside = m.num_outside };
	for (size_t i = 0; i < m.num; i++) {
		const uint64_t start = m.maps[i].paddr, end = start + m.maps[i].size;
		struct layout_segment *last = ret->num ? &ret->segments[ret->num - 1] : NULL;

		if (m.maps[i].vaddr - start != l->offset)
			continue;
		ret->bytes += m.maps[i].size;
		if (last && start - last->end < max_hole)
			last->end = end;
		else if (ret->num < MAX_SEGMENTS)
			ret->segments[ret->num++] = (struct layout_segment){ start, end };
	}
	mappings_deinit(&m);
	for (size_t i = 0; i < ret->num; i++)
		debug_log(&l->source.debug, GDUMP_DEBUG_DETAIL,
			  "the kernel has memory from 0x%" PRIx64 " to 0x%" PRIx64 ", %" PRIu64 " page tables are missing",
			  ret->segments[i].start, ret->segments[i].end - 1, ret->outside);
	return NULL;
}

/* How much of a segment at @hva is in memory of the process, if it ends at a MiB */
static uint64_t layout_size_at(const struct layout *l, const struct layout_view *v, size_t i,
			       uint64_t hva)
{
	const struct layout_segment *s = &v->segments[i];
	const struct procmem_span *span = layout_span_at(l, hva);
	uint64_t size = round_up(s->end, MIB) - s->start;

	if (!span)
		return 0;
	size = MIN(size, span->start + span->size - hva);
	for (size_t k = 0; k < v->num; k++) {
		const struct layout_segment *other = &v->segments[k];

		if (k == i || !other->placed)
			continue;
		if (hva - other->hva < other->end - other->start)
			return 0;
		if (other->hva > hva)
			size = MIN(size, other->hva - hva);
	}
	return i + 1 < v->num ? MIN(size, v->segments[i + 1].start - s->start) : size;
}

/* Have the source read the segments that are placed. */
static struct gdump_error *layout_apply(struct layout *l, const struct layout_view *v)
{
	struct gdump_error *err = NULL;

	l->map.num_slots = 0;
	for (size_t i = 0; !err && i < v->num; i++) {
		const struct layout_segment *s = &v->segments[i];
		const uint64_t size = s->placed ? layout_size_at(l, v, i, s->hva) : 0;

		if (size)
			err = layout_add(l, s->start, size, s->hva);
	}
	return err ? err : layout_seal(l);
}

static bool layout_set_place(const struct layout *l, struct layout_segment *s, uint64_t hva)
{
	s->hva = hva;
	s->placed = layout_span_at(l, hva);
	return s->placed;
}

/* Place a segment as an anchor proves, or as one of @from that has some of the same memory was.  The
 * firmware's tables are near the end of a segment, and may be after what is mapped of it.
 */
static void layout_keep_place(const struct layout *l, const struct layout_view *from,
			      struct layout_segment *s)
{
	for (size_t i = 0; i < l->num_anchors; i++) {
		const struct layout_anchor *a = &l->anchors[i];

		if (a->paddr - s->start < s->end - s->start + max_hole &&
		    layout_set_place(l, s, a->hva - (a->paddr - s->start)))
			return;
	}
	for (size_t i = 0; i < from->num; i++) {
		const struct layout_segment *old = &from->segments[i];

		if (old->placed && old->start < s->end && s->start < old->end &&
		    layout_set_place(l, s, old->hva - (old->start - s->start)))
			return;
	}
}

static void layout_keep_places(const struct layout *l, const struct layout_view *from,
			       struct layout_view *to)
{
	for (size_t i = 0; i < to->num; i++)
		layout_keep_place(l, from, &to->segments[i]);
}

/* Places that are tried for one segment */
struct layout_trial {
	const struct layout_view *view;
	size_t segment;
	struct layout_view best;        /* what the best place shows            */
	uint64_t hva;                   /* of the best place; 0: none           */
	bool tied;                      /* another place is as good             */
};

static int layout_compare(const struct layout_view *a, const struct layout_view *b)
{
	if (a->outside != b->outside)
		return a->outside < b->outside ? 1 : -1;
	return (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

static struct gdump_error *layout_try(struct layout *l, struct layout_trial *t, uint64_t hva)
{
	const struct layout_segment *s = &t->view->segments[t->segment];
	struct layout_view v = *t->view, seen;
	struct gdump_error *err;
	int order;

	if (hva == t->hva || hva % 4096 ||
	    layout_size_at(l, t->view, t->segment, hva) < s->end - s->start)
		return NULL;
	v.segments[t->segment].placed = true;
	v.segments[t->segment].hva = hva;
	err = layout_apply(l, &v);
	if (!err)
		err = layout_look(l, &seen);
	if (err)
		return err;
	debug_log(&l->source.debug, GDUMP_DEBUG_DETAIL, "memory from 0x%" PRIx64
		  " on, tried at 0x%" PRIx64 " of the process: %" PRIu64
		  " page tables are missing, 0x%" PRIx64 " bytes are mapped", s->start, hva,
		  seen.outside, seen.bytes);
	order = layout_compare(&seen, &t->best);
	t->tied = order ? t->tied && order < 0 : t->hva != 0;
	if (order > 0) {
		t->best = seen;
		t->hva = hva;
	}
	return NULL;
}

/* Try all places of a segment; without a best one, it stays as it is. */
static struct gdump_error *layout_place(struct layout *l, struct layout_view *v, size_t i)
{
	const uint64_t size = v->segments[i].end - v->segments[i].start;
	struct layout_trial t = { .view = v, .segment = i };
	struct gdump_error *err = layout_apply(l, v);

	if (!err)
		err = layout_look(l, &t.best);
	for (size_t k = 0; !err && k < l->num_spans; k++) {
		const struct procmem_span *span = &l->spans[k];

		err = layout_try(l, &t, span->start);
		if (!err && size < span->size)
			err = layout_try(l, &t, span->start + span->size - size);
	}
	for (size_t k = 0; !err && k < v->num; k++) {
		const struct layout_segment *s = &v->segments[k];
		const uint64_t end = s->hva + (round_up(s->end, MIB) - s->start);

		for (uint64_t mib = 0; !err && s->placed && mib < MAX_STEPS; mib++)
			err = layout_try(l, &t, end + mib * MIB);
		if (!err && s->placed && s->hva > size)
			err = layout_try(l, &t, s->hva - size);
	}
	if (!err && t.hva && !t.tied) {
		v->segments[i].placed = true;
		v->segments[i].hva = t.hva;
	}
	return err;
}

/* Place the first segment that can be; *@done: there was none to place. */
static struct gdump_error *layout_place_next(struct layout *l, struct layout_view *v, bool *done)
{
	struct gdump_error *err = NULL;

	*done = true;
	for (size_t i = 0; !err && i < v->num; i++) {
		if (v->segments[i].placed)
			continue;
		*done = false;
		err = layout_place(l, v, i);
		if (!err && v->segments[i].placed)
			return NULL;
	}
	if (err || *done)
		return err;
	return error_new(GDUMP_ERR_NODATA,
			 "its kernel was found, and has memory from 0x%" PRIx64
			 " on, whose place is not proven", v->segments[v->num - 1].start);
}

/* The firmware's tables are a second anchor, where there is more than one segment to place. */
static struct gdump_error *layout_find_acpi(struct layout *l, const struct layout_view *v)
{
	struct acpi_place place;
	bool found = false;
	struct gdump_error *err = NULL;

	if (v->num > 1)
		err = layout_read_spans(l);
	if (!err && v->num > 1)
		err = acpi_find_place(&l->source, &place, &found);
	if (err || !found)
		return err;
	debug_log(&l->source.debug, GDUMP_DEBUG_STEP, "the firmware's tables at 0x%" PRIx64
		  " are at 0x%" PRIx64 " of the process", place.paddr, place.where);
	l->anchors[l->num_anchors++] = (struct layout_anchor){ place.paddr, place.where };
	return NULL;
}

struct gdump_error *layout_place_all(struct layout *l)
{
	struct layout_view v, seen;
	struct gdump_error *err = layout_look(l, &v);
	bool done = false, same;

	if (!err)
		err = layout_find_acpi(l, &v);
	if (err)
		return err;
	layout_keep_places(l, &v, &v);
	for (int i = 0; i < MAX_ROUNDS; i++) {
		err = layout_place_next(l, &v, &done);
		if (!err)
			err = layout_apply(l, &v);
		if (!err)
			err = layout_look(l, &seen);
		if (err)
			return err;
		layout_keep_places(l, &v, &seen);
		same = seen.num == v.num && seen.bytes == v.bytes;
		v = seen;
		if (done && same && !v.outside && v.num)
			return layout_apply(l, &v);
	}
	return error_new(GDUMP_ERR_NODATA,
			 "its kernel was found, but %" PRIu64 " of the kernel's page tables were not",
			 v.outside);
}
