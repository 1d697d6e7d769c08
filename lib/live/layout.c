/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * layout.c - where the memory of a guest is in a process, as the guest's kernel says
 *
 * Theory of operation.  The process that runs a guest has its memory, but only the hypervisor knows
 * which guest-physical address is where.  A Linux kernel knows it as well:
 *
 * 1. VMCOREINFO, which is found by its form, has the guest-physical address of the kernel's name.
 *    The name is searched for; where it is, and the kernel's page tables in the same place relative
 *    to it translate their own kernel rightly, is the memory around the kernel.
 * 2. The kernel maps all of its memory in one piece, the direct map: its page tables name all ranges
 *    of RAM.  A segment is what has no large hole.
 * 3. The firmware's tables prove the place of the segment that they are in (acpi_place.c).
 * 4. Other segments are tried wherever they fit.  Some of the kernel's page tables are in them: in
 *    the right place all page tables are found, in a wrong one some are not, or map something else.
 *    A place counts only if it is better than every other one.
 *
 * What the firmware keeps for itself is not in the direct map: holes in a segment are filled, and
 * its end is that of a MiB.  The memory between 640 KiB and 1 MiB of a PC is left out, as what the
 * guest sees there is often something else than its RAM.
 *
 * Facts: Linux's arch/x86/mm/init.c.
 */
#include "layout.h"

#include <elf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../kernel/find_vmcoreinfo.h"
#include "../kernel/mappings.h"
#include "../kernel/search.h"
#include "../kernel/uts.h"
#include "../machine/vmcoreinfo.h"
#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "acpi_place.h"

#define MIB ((uint64_t)1 << 20)

enum {
	MAX_BASES = 32, MAX_SEGMENTS = 16, MAX_ROUNDS = 32,
	LIMIT_US = 60000000,            /* since a hostile guest can make it long */
	MAX_STEPS = 64,                 /* MiB after a segment that are tried   */
};

static const uint64_t min_span = 512 << 10, max_hole = 64 * MIB;
static const uint64_t low_end = 640 << 10, low_resume = MIB;

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

struct layout {
	struct source source;
	struct procmem *mem;
	struct memory_map map;          /* that @source reads                   */
	struct procmem_span *spans;
	size_t num_spans;
	/* whose place is proven: the kernel's name, and the firmware's tables if they were found */
	struct layout_anchor { uint64_t paddr, hva; } anchors[2];
	size_t num_anchors;
	uint64_t offset;                /* of the direct map: vaddr - paddr     */
	uint64_t end_us;                /* when to give up                      */
};

static struct gdump_error *layout_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	const struct layout *l = (const struct layout *)s;

	return memory_map_read(&l->map, l->mem, paddr, buf, len);
}

static struct gdump_error *layout_scan(struct source *s, uint64_t pfn, size_t num,
				       unsigned char *state, bool holes)
{
	const struct layout *l = (const struct layout *)s;
	const struct page_scan scan = { .pfn = pfn, .num = num, .page_size = s->image.page_size,
					.state = state };

	memset(state, PAGE_THERE, num);
	if (holes)
		memory_map_scan(&l->map, l->mem, &scan);
	return NULL;
}

static void layout_close(struct source *s)
{
	struct layout *l = (struct layout *)s;

	memory_map_deinit(&l->map);
	free(l->spans);
	free(l);
}

static const struct source_ops layout_ops = {
	.name = "layout", .read = layout_read, .scan = layout_scan, .close = layout_close,
};

/* Have the source read [paddr, paddr + size) at @hva as well. */
static struct gdump_error *layout_add(struct layout *l, uint64_t paddr, uint64_t size, uint64_t hva)
{
	struct memory_map *map = &l->map;

	if (!ARRAY_GROW(map->slots, map->num_slots))
		return error_nomem();
	map->slots[map->num_slots++] = (struct mem_slot){ .paddr = paddr, .size = size, .hva = hva };
	return NULL;
}

/* The slots are complete: the ranges of the image are theirs. */
static struct gdump_error *layout_seal(struct layout *l)
{
	struct gdump_error *err;

	l->source.image.num_ranges = 0;
	err = memory_map_to_image(&l->map, &l->source.image);
	return err ? err : image_seal(&l->source.image);
}

/* Have the source read all memory that may be the guest's, at the addresses of the process. */
static struct gdump_error *layout_read_spans(struct layout *l)
{
	struct gdump_error *err = NULL;

	l->map.num_slots = 0;
	for (size_t i = 0; !err && i < l->num_spans; i++)
		err = layout_add(l, l->spans[i].start, l->spans[i].size, l->spans[i].start);
	return err ? err : layout_seal(l);
}

static struct gdump_error *layout_find_spans(struct layout *l)
{
	struct gdump_error *err = procmem_find_spans(l->mem, min_span, &l->spans, &l->num_spans);

	for (size_t i = 0; !err && i < l->num_spans; i++)
		err = procmem_use(l->mem, l->spans[i].start, l->spans[i].size);
	return err ? err : layout_read_spans(l);
}

static const struct procmem_span *layout_span_at(const struct layout *l, uint64_t hva)
{
	for (size_t i = 0; i < l->num_spans; i++) {
		if (hva - l->spans[i].start < l->spans[i].size)
			return &l->spans[i];
	}
	return NULL;
}

/* Where the name of the kernel may be */
struct layout_bases {
	struct source *source;
	char release[UTS_LEN];
	uint64_t paddr;
	uint64_t hva[MAX_BASES];
	size_t num;
};

static void layout_try_name(struct layout_bases *b, uint64_t hva)
{
	char uts[3][UTS_LEN];
	CLEANUP_ERROR struct gdump_error *err = source_read(b->source, hva, uts, sizeof(uts));

	if (!err && b->num < MAX_BASES && !((hva - b->paddr) % 4096) &&
	    !strncmp(uts[0], "Linux", UTS_LEN) && !strncmp(uts[2], b->release, UTS_LEN))
		b->hva[b->num++] = hva;
}

static bool layout_search_piece(void *arg, const struct search_piece *piece)
{
	struct layout_bases *b = arg;

	for (size_t i = search_text(piece, 0, b->release); i < piece->len;
	     i = search_text(piece, i + 1, b->release)) {
		const uint64_t release = piece->paddr + i;

		if (release >= (uint64_t)2 * UTS_LEN)
			layout_try_name(b, release - (uint64_t)2 * UTS_LEN);
	}
	return false;
}

/* Whether the kernel's page tables map the kernel's name to where it is */
static bool layout_proves_base(struct layout *l, uint64_t paddr)
{
	uint64_t vaddr, symbol, got, len;
	struct walker w;
	struct paging p;
	struct gdump_error *why = paging_of_kernel(&l->source, &p);
	bool ret;

	if (why) {
		gdump_error_destroy(why);
		return false;
	}
	ret = vmcoreinfo_symbol(&l->source.image, "init_uts_ns", &vaddr) &&
	      l->source.image.arch->image_paddr(&l->source.image, vaddr, &symbol);
	if (ret) {
		walker_init(&w, &p, &l->source);
		ret = walker_translate(&w, vaddr + (paddr - symbol), &got, &len) && got == paddr;
		walker_deinit(&w);
	}
	paging_deinit(&p);
	return ret;
}

/* The memory around the kernel, if its name, @paddr, is at @hva: all of the span that has it. */
static struct gdump_error *layout_set_base(struct layout *l, uint64_t paddr, uint64_t hva)
{
	const struct procmem_span *span = layout_span_at(l, hva);
	const uint64_t before = span ? MIN(hva - span->start, paddr) : 0;
	struct gdump_error *err = NULL;

	l->anchors[0] = (struct layout_anchor){ paddr, hva };
	l->num_anchors = 1;
	l->map.num_slots = 0;
	if (span)
		err = layout_add(l, paddr - before, span->start + span->size - (hva - before),
				 hva - before);
	return err ? err : layout_seal(l);
}

static struct gdump_error *layout_find_base(struct layout *l)
{
	const struct image *image = &l->source.image;
	struct layout_bases b = { .source = &l->source };
	struct gdump_error *err;

	if (!vmcoreinfo_string(image, "OSRELEASE", b.release, sizeof(b.release)) || !b.release[0] ||
	    !uts_paddr(image, &b.paddr))
		return error_new(GDUMP_ERR_NODATA, "the VMCOREINFO of its kernel lacks init_uts_ns");
	err = search_memory(&l->source, layout_search_piece, &b);
	for (size_t i = 0; !err && i < b.num; i++) {
		err = layout_set_base(l, b.paddr, b.hva[i]);
		if (!err && layout_proves_base(l, b.paddr))
			return NULL;
	}
	return err ? err : error_new(GDUMP_ERR_NODATA,
				     "its kernel, Linux %s, was found, but not its page tables",
				     b.release);
}

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

static struct gdump_error *layout_place_all(struct layout *l)
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

/* Without what a PC has below 1 MiB besides RAM */
static struct gdump_error *layout_take_map(struct layout *l, struct memory_map *ret)
{
	struct memory_map all = l->map;
	struct gdump_error *err = NULL;

	l->map = (struct memory_map){ 0 };
	for (size_t i = 0; !err && i < all.num_slots; i++) {
		const struct mem_slot *s = &all.slots[i];
		const uint64_t end = s->paddr + s->size;
		const uint64_t from = s->paddr >= low_end ? MAX(s->paddr, low_resume) : s->paddr;

		if (from < low_end)
			err = layout_add(l, from, MIN(end, low_end) - from, s->hva);
		if (!err && end > low_resume) {
			const uint64_t start = MAX(from, low_resume);

			err = layout_add(l, start, end - start, s->hva + (start - s->paddr));
		}
	}
	free(all.slots);
	if (err)
		return err;
	*ret = l->map;
	l->map = (struct memory_map){ 0 };
	return NULL;
}

static struct gdump_error *layout_run(struct layout *l, struct memory_map *ret)
{
	struct gdump_error *err = layout_find_spans(l);

	if (!err)
		err = find_vmcoreinfo(&l->source, 0);
	if (err)
		return err;
	if (!l->source.image.vmcoreinfo)
		return error_new(GDUMP_ERR_NODATA, "no Linux kernel, or more than one, was found there");
	err = layout_find_base(l);
	if (!err)
		err = layout_place_all(l);
	return err ? err : layout_take_map(l, ret);
}

struct gdump_error *layout_find(struct procmem *mem, uint16_t machine, const char *kernel,
				const struct debug *debug, struct memory_map *ret)
{
	CLEANUP_SOURCE struct source *s = NULL;
	struct layout *l;

	if (machine != EM_X86_64)
		return error_new(GDUMP_ERR_UNSUPPORTED, "this is possible for kernels of x86-64 only");
	l = calloc(1, sizeof(*l));
	if (!l)
		return error_nomem();
	s = &l->source;
	source_init(s, &layout_ops);
	s->debug = *debug;
	s->kernel = kernel;
	s->image.machine = machine;
	s->image.is64 = true;
	l->mem = mem;
	l->end_us = clock_us() + LIMIT_US;
	return layout_run(l, ret);
}
