/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * filter.c - plan which of a Linux guest's pages nobody will look at
 *
 * Theory of operation.  The struct pages of one section lie in one array, which
 * is read as a whole; then each page is judged by classify().  Sections are
 * independent, so they are spread over threads.  A folio or a free block may
 * reach beyond its section: whoever meets its first page drops all of it, and
 * the others leave its tails alone, so the result does not depend on who did
 * what.  Bits are cleared atomically, and what was cleared counts once.
 *
 * Nothing is believed before the guest's memory map has shown that it makes
 * sense: pages that are in use for sure, such as those of the page tables, must
 * not come out as droppable.
 */
#include "filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../parallel.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "classify.h"
#include "memmap.h"
#include "vmcoreinfo.h"

enum { CHUNK_PAGES = 32768, MAX_PAGE_STRUCT = 256, PAGE_FLAGS = 0xfffff,
       NUM_REASONS = ARRAY_SIZE(((struct gdump_plan *)0)->dropped) };

struct filter {
	struct gdump_plan *plan;
	struct source *source;
	unsigned int drop;
	struct page_layout layout;
	struct memmap memmap;
	uint64_t image_start, image_end;        /* pfns of the kernel's image   */
	uint64_t image_flags;                   /* set in all its struct pages  */
	uint64_t dropped[NUM_REASONS], odd;     /* added up atomically          */
};

/* One thread's own. */
struct worker {
	struct filter *f;
	struct walker walker;
	unsigned char *pages;
	uint64_t dropped[NUM_REASONS], odd;
};

/* The kernel's image is in use, whatever its struct pages say; only what was
 * given back after boot may go.  That is free, or it lacks the flag (PG_reserved)
 * by which the first page of the image is told from those of the allocator.
 */
static bool is_kernel(const struct filter *f, const unsigned char *page, uint64_t pfn, uint64_t num)
{
	if (pfn >= f->image_end || pfn + num <= f->image_start)
		return false;
	return !f->image_flags ||
	       (page_flags(&f->layout, page) & f->image_flags) == f->image_flags;
}

static void judge_pages(struct worker *w, uint64_t pfn, uint64_t num)
{
	struct filter *f = w->f;
	const uint32_t size = f->layout.size;

	for (uint64_t i = 0; i < num;) {
		struct verdict v = classify(&f->layout, w->pages + i * size, i + 1 < num, pfn + i,
					    f->drop);
		uint64_t n = (uint64_t)1 << v.order;

		w->odd += v.odd;
		if (v.why && (v.why == GDUMP_DROP_FREE ||
			      !is_kernel(f, w->pages + i * size, pfn + i, n))) {
			w->dropped[log2_u64(v.why)] += plan_drop(f->plan, pfn + i, n);
			i += n;
		} else {
			i++;
		}
	}
}

static void judge_section(struct worker *w, const struct section *section)
{
	struct filter *f = w->f;
	const uint32_t size = f->layout.size;

	for (uint64_t done = 0, n; done < f->memmap.section_pages; done += n) {
		struct gdump_error *err;

		n = MIN(f->memmap.section_pages - done, CHUNK_PAGES);
		err = walker_read(&w->walker, section->vaddr + done * size, w->pages,
				  (size_t)(n * size));
		if (!err)
			judge_pages(w, section->pfn + done, n);
		/* what cannot be read is kept */
		gdump_error_destroy(err);
	}
}

static struct gdump_error *filter_thread(void *arg, struct parallel *p)
{
	struct filter *f = arg;
	struct worker w = { .f = f };
	uint64_t i;

	w.pages = malloc((size_t)CHUNK_PAGES * f->layout.size);
	if (!w.pages)
		return error_nomem();
	walker_init(&w.walker, &f->memmap.paging, f->source);
	while (parallel_next(p, &i))
		judge_section(&w, &f->memmap.sections[i]);
	walker_deinit(&w.walker);
	free(w.pages);
	for (size_t r = 0; r < NUM_REASONS; r++)
		__atomic_fetch_add(&f->dropped[r], w.dropped[r], __ATOMIC_RELAXED);
	__atomic_fetch_add(&f->odd, w.odd, __ATOMIC_RELAXED);
	return NULL;
}

/* The struct page of @pfn; false: it cannot be read. */
static bool read_page(struct filter *f, struct walker *w, uint64_t pfn, unsigned char *page)
{
	const uint32_t size = f->layout.size;
	const struct section *s = NULL;
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

/* The pfns from _stext on as far as the image is mapped in one piece. */
static void find_image(struct filter *f)
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
		if (read_page(f, &w, f->image_start, page))
			f->image_flags = page_flags(&f->layout, page) & PAGE_FLAGS;
	}
	walker_deinit(&w);
}

/* Whether @pfn, which is in use for sure, would be dropped. */
static bool would_drop(struct filter *f, struct walker *w, uint64_t pfn)
{
	unsigned char page[MAX_PAGE_STRUCT];

	return read_page(f, w, pfn, page) && classify(&f->layout, page, false, pfn, 31).why;
}

/* Pages that the kernel cannot be without must not look free or like a user's. */
static bool makes_sense(struct filter *f)
{
	const uint64_t page_size = f->source->image.page_size;
	uint64_t paddr, len;
	struct walker w;
	bool bad;

	walker_init(&w, &f->memmap.paging, f->source);
	bad = would_drop(f, &w, f->memmap.paging.root / page_size);
	bad |= f->image_end && would_drop(f, &w, f->image_start);
	for (size_t i = 0; !bad && i < MIN(f->memmap.num_sections, 64); i++) {
		if (walker_translate(&w, f->memmap.sections[i].vaddr, &paddr, &len))
			bad = would_drop(f, &w, paddr / page_size);
	}
	walker_deinit(&w);
	return !bad;
}

static void warn(struct gdump_plan *plan, const char *why)
{
	snprintf(plan->warning, sizeof(plan->warning), "pages are not filtered: %s", why);
}

/* Learn what is needed; false: plan->warning says why not. */
static bool prepare(struct filter *f)
{
	const struct image *image = &f->source->image;
	struct gdump_error *err;
	const char *missing;
	char text[120];

	if (!image->vmcoreinfo)
		return warn(f->plan, "there is no VMCOREINFO, so nothing is known of the guest's kernel"),
		       false;
	if (f->source->changes && !f->plan->survey)
		return warn(f->plan, "the guest is running"), false;
	if (!page_layout_read(image, &f->layout, &missing)) {
		snprintf(text, sizeof(text), "VMCOREINFO does not tell %s", missing);
		return warn(f->plan, text), false;
	}
	err = memmap_read(f->source, f->layout.size, plan_end_pfn(f->plan), &f->memmap);
	if (err) {
		warn(f->plan, gdump_error_message(err));
		gdump_error_destroy(err);
		return false;
	}
	find_image(f);
	if (!makes_sense(f))
		return warn(f->plan, "the guest's memory map contradicts itself"), false;
	return true;
}

struct gdump_error *filter_plan(struct gdump_plan *plan, struct source *s, unsigned int drop)
{
	struct filter f = { .plan = plan, .source = s, .drop = drop };
	struct gdump_error *err = NULL;

	if (prepare(&f)) {
		err = parallel_run(0, f.memmap.num_sections, filter_thread, &f);
		for (size_t r = 0; r < NUM_REASONS; r++) {
			plan->dropped[r] += f.dropped[r];
			plan->kept -= f.dropped[r];
		}
		plan->drop |= drop;
		plan->odd = f.odd;
	}
	memmap_deinit(&f.memmap);
	return err;
}
