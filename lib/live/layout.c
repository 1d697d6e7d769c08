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
 * layout_place.c has steps 2 to 4.
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
#include "../kernel/search.h"
#include "../kernel/uts.h"
#include "../machine/vmcoreinfo.h"
#include "../machine/walker.h"
#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "layout_inside.h"

enum {
	MAX_BASES = 32,
	LIMIT_US = 60000000,            /* since a hostile guest can make it long */
};

static const uint64_t min_span = 512 << 10;
static const uint64_t low_end = 640 << 10, low_resume = 1 << 20;

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

struct gdump_error *layout_add(struct layout *l, uint64_t paddr, uint64_t size, uint64_t hva)
{
	struct memory_map *map = &l->map;

	if (!ARRAY_GROW(map->slots, map->num_slots))
		return error_nomem();
	map->slots[map->num_slots++] = (struct mem_slot){ .paddr = paddr, .size = size, .hva = hva };
	return NULL;
}

struct gdump_error *layout_seal(struct layout *l)
{
	struct gdump_error *err;

	l->source.image.num_ranges = 0;
	err = memory_map_to_image(&l->map, &l->source.image);
	return err ? err : image_seal(&l->source.image);
}

struct gdump_error *layout_read_spans(struct layout *l)
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

const struct procmem_span *layout_span_at(const struct layout *l, uint64_t hva)
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
