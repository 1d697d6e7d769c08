/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * filter.c - omit pages of a Linux guest from a plan
 *
 * Theory of operation.  The struct pages of one section are one array, which is read as a
 * whole; then classify() decides about each page.  Sections are independent, so threads
 * share them.  A folio or a free block may extend beyond its section: the thread that
 * finds its first page omits all of it, and the others ignore its tail pages, so the result
 * does not depend on the schedule.  Bits are cleared atomically, so each page counts once.
 *
 * Two checks guard against struct pages that are misread.  Pages that are certainly in use,
 * such as those of the page tables, must not be classified as omissible; else nothing is
 * filtered.  And if more pages look free than the allocator counts, free pages are kept.
 */
#include "filter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../parallel.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "classify.h"
#include "memmap.h"
#include "../machine/vmcoreinfo.h"
#include "zones.h"

enum { CHUNK_PAGES = 32768, MAX_PAGE_STRUCT = 256, MAX_BLOCK_ORDER = 13, PAGE_FLAGS = 0xfffff,
       NUM_REASONS = ARRAY_SIZE(((struct gdump_plan *)0)->dropped) };

struct filter {
	struct gdump_plan *plan;
	struct source *source;
	unsigned int drop;
	struct page_layout layout;
	struct memmap memmap;
	uint64_t image_start, image_end;        /* pfns of the kernel image     */
	uint64_t image_flags;                   /* set in all its struct pages  */
	uint64_t dropped[NUM_REASONS], inconsistent;    /* added up atomically  */
};

/* The state of one thread */
struct filter_worker {
	struct filter *f;
	struct walker walker;
	unsigned char *pages;
	uint64_t dropped[NUM_REASONS], inconsistent;
};

/* Whether pages belong to the kernel image, which is in use even if its struct pages differ.
 * Pages of it that were freed after boot are not part of it any more: they lack the flags,
 * PG_reserved among them, that the first page of the image has.
 */
static bool filter_is_kernel(const struct filter *f, const unsigned char *page, uint64_t pfn,
			     uint64_t num)
{
	if (pfn >= f->image_end || pfn + num <= f->image_start)
		return false;
	return !f->image_flags ||
	       (page_flags(&f->layout, page) & f->image_flags) == f->image_flags;
}

/* Whether the last page of a folio, which begins at @i of @num pages and has @n, is a tail
 * page, as it must be.  True if that page is not among the @num.
 */
static bool filter_is_whole(const struct filter *f, const unsigned char *pages, uint64_t i,
			    uint64_t n, uint64_t num)
{
	return n == 1 || i + n > num ||
	       page_is_tail(&f->layout, pages + (i + n - 1) * f->layout.size);
}

static void filter_pages(struct filter_worker *w, uint64_t pfn, uint64_t num)
{
	struct filter *f = w->f;
	const uint32_t size = f->layout.size;

	for (uint64_t i = 0, n; i < num; i += n) {
		const unsigned char *page = w->pages + i * size;
		struct verdict v = classify(&f->layout, page, i + 1 < num, pfn + i, f->drop);

		n = (uint64_t)1 << v.order;
		if (v.why && v.why != GDUMP_DROP_FREE) {
			if (!filter_is_whole(f, w->pages, i, n, num))
				v = (struct verdict){ .inconsistent = true };
			else if (filter_is_kernel(f, page, pfn + i, n))
				v = (struct verdict){ 0 };
		}
		w->inconsistent += v.inconsistent;
		if (v.why)
			w->dropped[log2_u64(v.why)] += plan_drop(f->plan, pfn + i, n);
		else
			n = 1;
	}
}

static void filter_run(struct filter_worker *w, const struct mem_section *section, uint64_t pfn,
		       uint64_t end)
{
	const uint32_t size = w->f->layout.size;

	for (uint64_t n; pfn < end; pfn += n) {
		struct gdump_error *err;

		n = MIN(end - pfn, CHUNK_PAGES);
		err = walker_read(&w->walker, section->vaddr + (pfn - section->pfn) * size,
				  w->pages, (size_t)(n * size));
		if (!err)
			filter_pages(w, pfn, n);
		/* pages whose struct page cannot be read are kept */
		gdump_error_destroy(err);
	}
}

/* Filter the parts of a section that have memory.  They are extended to whole free blocks,
 * because the first page of a block decides about all of it.
 */
static void filter_section(struct filter_worker *w, const struct mem_section *section)
{
	const struct filter *f = w->f;
	const uint64_t end = section->pfn + f->memmap.section_pages;
	const uint64_t block = (uint64_t)1 << MIN(f->layout.num_orders - 1, MAX_BLOCK_ORDER);
	uint64_t from, to;

	for (uint64_t pfn = section->pfn; plan_covers(f->plan, pfn, &from, &to) && from < end;
	     pfn = to) {
		from = MAX(round_down(from, block), pfn);
		to = MIN(round_up(to, block), end);
		filter_run(w, section, from, to);
	}
}

static struct gdump_error *filter_thread(void *arg, struct parallel *p)
{
	struct filter *f = arg;
	struct filter_worker w = { .f = f };
	uint64_t i;

	w.pages = malloc((size_t)CHUNK_PAGES * f->layout.size);
	if (!w.pages)
		return error_nomem();
	walker_init(&w.walker, &f->memmap.paging, f->source);
	while (parallel_next(p, &i))
		filter_section(&w, &f->memmap.sections[i]);
	walker_deinit(&w.walker);
	free(w.pages);
	for (size_t r = 0; r < NUM_REASONS; r++)
		__atomic_fetch_add(&f->dropped[r], w.dropped[r], __ATOMIC_RELAXED);
	__atomic_fetch_add(&f->inconsistent, w.inconsistent, __ATOMIC_RELAXED);
	return NULL;
}

/* The struct page of @pfn; false: it cannot be read. */
static bool filter_read_page(struct filter *f, struct walker *w, uint64_t pfn, unsigned char *page)
{
	const uint32_t size = f->layout.size;
	const struct mem_section *s = NULL;
	struct gdump_error *err;
	bool good;

	for (size_t i = 0; i < f->memmap.num_sections && !s; i++) {
		if (pfn - f->memmap.sections[i].pfn < f->memmap.section_pages)
			s = &f->memmap.sections[i];
	}
	if (!s)
		return false;
	err = walker_read(w, s->vaddr + (pfn - s->pfn) * size, page, size);
	good = !err;
	gdump_error_destroy(err);
	return good;
}

/* Find the pfns of the kernel image: from _stext on, as far as it is contiguous. */
static void filter_find_image(struct filter *f)
{
	const struct image *image = &f->source->image;
	uint64_t vaddr, paddr, next, len, end;
	unsigned char page[MAX_PAGE_STRUCT];
	struct walker w;

	if (!vmcoreinfo_symbol(image, "_stext", &vaddr))
		return;
	walker_init(&w, &f->memmap.paging, f->source);
	if (walker_translate(&w, vaddr, &paddr, &len)) {
		end = paddr + len;
		while (end - paddr < (1 << 30) &&
		       walker_translate(&w, vaddr + (end - paddr), &next, &len) && next == end)
			end += len;
		f->image_start = paddr / image->page_size;
		f->image_end = end / image->page_size;
		if (filter_read_page(f, &w, f->image_start, page))
			f->image_flags = page_flags(&f->layout, page) & PAGE_FLAGS;
	}
	walker_deinit(&w);
}

/* Whether @pfn, which is certainly in use, would be omitted. */
static bool filter_would_drop(struct filter *f, struct walker *w, uint64_t pfn)
{
	unsigned char page[MAX_PAGE_STRUCT];

	return filter_read_page(f, w, pfn, page) && classify(&f->layout, page, false, pfn, 31).why;
}

/* Whether pages that a kernel cannot do without are kept: its top page table, its image, and
 * the struct pages.
 */
static bool filter_is_consistent(struct filter *f)
{
	const uint64_t page_size = f->source->image.page_size;
	uint64_t paddr, len;
	struct walker w;
	bool bad;

	walker_init(&w, &f->memmap.paging, f->source);
	bad = filter_would_drop(f, &w, f->memmap.paging.root / page_size);
	bad |= f->image_end && filter_would_drop(f, &w, f->image_start);
	for (size_t i = 0; !bad && i < MIN(f->memmap.num_sections, 64); i++) {
		if (walker_translate(&w, f->memmap.sections[i].vaddr, &paddr, &len))
			bad = filter_would_drop(f, &w, paddr / page_size);
	}
	walker_deinit(&w);
	return !bad;
}

static void filter_warn(struct gdump_plan *plan, const char *why)
{
	snprintf(plan->warning, sizeof(plan->warning), "pages are not filtered: %s", why);
}

/* Find all that the filter needs; false: plan->warning says what is missing. */
static bool filter_prepare(struct filter *f)
{
	const struct image *image = &f->source->image;
	struct gdump_error *err;
	const char *missing;
	char text[120];

	if (!image->vmcoreinfo)
		return filter_warn(f->plan, "there is no VMCOREINFO"), false;
	if (f->source->is_mutable && !f->plan->survey)
		return filter_warn(f->plan, "the guest is running"), false;
	if (!page_layout_read(image, &f->layout, &missing)) {
		snprintf(text, sizeof(text), "VMCOREINFO lacks %s", missing);
		return filter_warn(f->plan, text), false;
	}
	err = memmap_read(f->source, f->layout.size, plan_end_pfn(f->plan), &f->memmap);
	if (err) {
		filter_warn(f->plan, gdump_error_message(err));
		gdump_error_destroy(err);
		return false;
	}
	filter_find_image(f);
	debug_log(&f->source->debug, GDUMP_DEBUG_STEP,
		  "the guest's memory map has %zu sections of %" PRIu64 " pages, a struct page "
		  "has %u bytes, the kernel's image is pfn 0x%" PRIx64 " to 0x%" PRIx64,
		  f->memmap.num_sections, f->memmap.section_pages,
		  f->layout.size, f->image_start,
		  f->image_end);
	if (!filter_is_consistent(f))
		return filter_warn(f->plan, "the struct pages contradict themselves"), false;
	return true;
}

/* An upper limit of the number of free pages by the allocator's count, which lags behind a
 * little for each CPU; UINT64_MAX: unknown.
 */
static uint64_t filter_max_free(struct filter *f)
{
	uint64_t counted;
	struct walker w;
	bool known;

	walker_init(&w, &f->memmap.paging, f->source);
	known = zones_free_pages(&w, &counted);
	walker_deinit(&w);
	return known && counted < UINT64_MAX / 2
		       ? counted + counted / 100 + 1024 * (1 + f->source->image.num_cpus_with_notes)
		       : UINT64_MAX;
}

static struct gdump_error *filter_all(struct filter *f)
{
	memset(f->dropped, 0, sizeof(f->dropped));
	f->inconsistent = 0;
	return parallel_run(0, f->memmap.num_sections, filter_thread, f);
}

/* Filter all pages.  If more look free than can be, do it again without omitting free ones. */
static struct gdump_error *filter_checked(struct filter *f)
{
	const uint64_t limit = f->drop & GDUMP_DROP_FREE ? filter_max_free(f) : UINT64_MAX;
	const uint64_t *found = &f->dropped[log2_u64(GDUMP_DROP_FREE)];
	CLEANUP_FREE uint64_t *saved = NULL;
	struct gdump_error *err;

	if (limit == UINT64_MAX)
		return filter_all(f);
	saved = plan_save(f->plan);
	if (!saved)
		return error_nomem();
	err = filter_all(f);
	if (err || *found <= limit)
		return err;
	snprintf(f->plan->warning, sizeof(f->plan->warning),
		 "free pages are not omitted: %" PRIu64 " look free, but the guest's kernel "
		 "counts fewer",
		 *found);
	plan_restore(f->plan, saved);
	f->drop &= ~(unsigned int)GDUMP_DROP_FREE;
	return filter_all(f);
}

static void filter_log(const struct filter *f, uint64_t began_us)
{
	const struct gdump_plan *plan = f->plan;
	const uint64_t *dropped = plan->dropped;

	debug_log(&f->source->debug, GDUMP_DEBUG_STEP,
		  "the page filter for level %u took %.1f ms: it omits %" PRIu64 " pages of the "
		  "page cache, %" PRIu64 " private ones, %" PRIu64 " of users, %" PRIu64 " free; "
		  "%" PRIu64 " struct pages are inconsistent",
		  f->drop, (double)(clock_us() - began_us) / 1000,
		  dropped[log2_u64(GDUMP_DROP_CACHE)],
		  dropped[log2_u64(GDUMP_DROP_CACHE_PRIVATE)],
		  dropped[log2_u64(GDUMP_DROP_USER)],
		  dropped[log2_u64(GDUMP_DROP_FREE)],
		  f->inconsistent);
	if (plan->warning[0])
		debug_log(&f->source->debug, GDUMP_DEBUG_STEP, "%s", plan->warning);
}

struct gdump_error *filter_plan(struct gdump_plan *plan, struct source *s, unsigned int drop)
{
	struct filter f = { .plan = plan, .source = s, .drop = drop };
	const uint64_t began_us = clock_us();
	struct gdump_error *err = NULL;

	plan->drop |= drop & GDUMP_DROP_ZERO;   /* needs no kernel */
	if (filter_prepare(&f)) {
		err = filter_checked(&f);
		for (size_t r = 0; r < NUM_REASONS; r++) {
			plan->dropped[r] += f.dropped[r];
			plan->kept -= f.dropped[r];
		}
		plan->drop |= f.drop;
		plan->inconsistent = f.inconsistent;
	}
	filter_log(&f, began_us);
	memmap_deinit(&f.memmap);
	return err;
}
