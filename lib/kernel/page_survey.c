/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * page_survey.c - what memory is used for
 *
 * A page's kind is that of the folio or the free block that it is in, which its first page shows.
 * So pages are looked up in order, in windows that begin where free blocks of any size do.  If
 * there are too many pages, some windows are omitted, and each cell is the picture of those of its
 * windows that were looked up.
 */
#include "page_survey.h"

#include <stdlib.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../write/plan.h"
#include "classify.h"
#include "memmap.h"

enum {
	MIN_CELL = 256,                 /* pages                                */
	WINDOW = 4096,                  /* pages; no free block is larger       */
	MAX_PAGES = 4 << 20,            /* to look up                           */
	MAX_FOLIO = 18,                 /* order: huge pages of 1 GiB           */
};

struct survey {
	struct walker *walker;
	struct gdump_plan *plan;
	struct page_layout layout;
	struct memmap memmap;
	struct page_survey *ret;
	uint64_t step;                  /* each step-th window is looked up     */
	unsigned char *pages;           /* struct pages of a window             */
	size_t cell;                    /* the one of the last page             */
	/* the folio or block of the last page */
	uint64_t block_end;
	enum page_kind block_kind;
};

/* Cells ----------------------------------------------------------------------- */

/* How many cells of @pages have memory */
static size_t survey_count_cells(const struct gdump_plan *plan, uint64_t pages)
{
	uint64_t next = 0, num = 0;

	for (size_t i = 0; i < plan->num_extents; i++) {
		const struct extent *x = &plan->extents[i];
		const uint64_t first = MAX(x->pfn / pages, next);

		next = MAX((x->pfn + x->num - 1) / pages + 1, first);
		num += next - first;
	}
	return (size_t)MIN(num, SIZE_MAX);
}

static void survey_add_cells(struct page_survey *s, const struct extent *x)
{
	for (uint64_t pfn = x->pfn, n; pfn < x->pfn + x->num; pfn += n) {
		const uint64_t start = round_down(pfn, s->cell_pages);

		n = MIN(start + s->cell_pages - pfn, x->pfn + x->num - pfn);
		if (!s->num || s->cells[s->num - 1].pfn != start)
			s->cells[s->num++].pfn = start;
		s->cells[s->num - 1].ram += n;
	}
}

static struct gdump_error *survey_create_cells(const struct gdump_plan *plan, size_t max,
					       struct page_survey *ret)
{
	uint64_t pages = MIN_CELL;

	while (survey_count_cells(plan, pages) > max && pages < (uint64_t)1 << 50)
		pages *= 2;
	*ret = (struct page_survey){ .cell_pages = pages };
	ret->cells = calloc(survey_count_cells(plan, pages) + 1, sizeof(*ret->cells));
	if (!ret->cells)
		return error_nomem();
	for (size_t i = 0; i < plan->num_extents; i++)
		survey_add_cells(ret, &plan->extents[i]);
	return NULL;
}

void page_survey_deinit(struct page_survey *s)
{
	free(s->cells);
}

/* Count a page that is memory; they come in order. */
static void survey_count(struct survey *s, uint64_t pfn, enum page_kind kind)
{
	struct page_survey *ret = s->ret;

	while (s->cell < ret->num && ret->cells[s->cell].pfn + ret->cell_pages <= pfn)
		s->cell++;
	if (s->cell == ret->num || ret->cells[s->cell].pfn > pfn)
		return;
	ret->cells[s->cell].seen++;
	ret->cells[s->cell].kinds[kind]++;
}

/* What was not seen is like what was. */
static void survey_scale(struct page_cell *c)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < PAGE_KINDS; i++) {
		c->kinds[i] = c->seen ? (uint64_t)((double)c->kinds[i] * (double)c->ram / (double)c->seen) : 0;
		sum += c->kinds[i];
	}
	c->kinds[PAGE_UNKNOWN] += c->ram - MIN(sum, c->ram);
}

/* Pages ----------------------------------------------------------------------- */

static bool survey_read_pages(struct survey *s, const struct mem_section *section, uint64_t pfn,
			      uint64_t num, unsigned char *to)
{
	const uint32_t size = s->layout.size;
	CLEANUP_ERROR struct gdump_error *err =
		walker_read(s->walker, section->vaddr + (pfn - section->pfn) * size, to, (size_t)num * size);

	return !err;
}

static const struct mem_section *survey_section_of(const struct survey *s, uint64_t pfn)
{
	for (size_t i = 0; i < s->memmap.num_sections; i++) {
		if (pfn - s->memmap.sections[i].pfn < s->memmap.section_pages)
			return &s->memmap.sections[i];
	}
	return NULL;
}

/* The first page of a large folio, whose tail page @pfn is, was not seen: it is at a multiple of
 * the folio's size.
 */
static void survey_find_folio(struct survey *s, uint64_t pfn)
{
	unsigned char pages[512];

	for (unsigned int order = 1; order <= MAX_FOLIO && 2 * s->layout.size <= sizeof(pages); order++) {
		const uint64_t first = round_down(pfn, (uint64_t)1 << order);
		const struct mem_section *section = survey_section_of(s, first);
		unsigned int found;
		enum page_kind kind;

		if (first == pfn || !section || !survey_read_pages(s, section, first, 2, pages) ||
		    page_is_tail(&s->layout, pages))
			continue;
		kind = page_kind_of(&s->layout, pages, true, first, &found);
		if (found == order) {
			s->block_kind = kind;
			s->block_end = first + ((uint64_t)1 << order);
			return;
		}
	}
}

static enum page_kind survey_kind(struct survey *s, uint64_t pfn, const unsigned char *page, bool has_next)
{
	unsigned int order;

	if (pfn < s->block_end)
		return s->block_kind;
	if (page_is_tail(&s->layout, page)) {
		survey_find_folio(s, pfn);
		return pfn < s->block_end ? s->block_kind : PAGE_KERNEL;
	}
	s->block_kind = page_kind_of(&s->layout, page, has_next, pfn, &order);
	s->block_end = pfn + ((uint64_t)1 << order);
	return s->block_kind;
}

/* Look up pages [pfn, end) of a section; those from @from on are memory. */
static void survey_window(struct survey *s, const struct mem_section *section, uint64_t pfn,
			  uint64_t from, uint64_t end)
{
	const bool good = survey_read_pages(s, section, pfn, end - pfn, s->pages);

	for (uint64_t at = pfn; at < end; at++) {
		const unsigned char *page = s->pages + (at - pfn) * s->layout.size;
		const enum page_kind kind = good ? survey_kind(s, at, page, at + 1 < end) : PAGE_UNKNOWN;

		if (at >= from)
			survey_count(s, at, kind);
	}
}

static void survey_section(struct survey *s, const struct mem_section *section)
{
	const uint64_t end = section->pfn + s->memmap.section_pages;
	uint64_t from, to, window;

	for (uint64_t pfn = section->pfn; plan_covers(s->plan, pfn, &from, &to) && from < end; pfn = to) {
		to = MIN(to, end);
		for (; from < to; from = window + WINDOW) {
			window = round_down(from, WINDOW);
			if (window / WINDOW % s->step == 0)
				survey_window(s, section, MAX(window, section->pfn), from,
					      MIN(window + WINDOW, to));
		}
	}
}

static struct gdump_error *survey_run(struct survey *s)
{
	s->pages = malloc((size_t)WINDOW * s->layout.size);
	if (!s->pages)
		return error_nomem();
	s->step = s->plan->num_pages / MAX_PAGES + 1;
	s->ret->is_sample = s->step > 1;
	for (size_t i = 0; i < s->memmap.num_sections; i++)
		survey_section(s, &s->memmap.sections[i]);
	for (size_t i = 0; i < s->ret->num; i++)
		survey_scale(&s->ret->cells[i]);
	free(s->pages);
	return NULL;
}

struct gdump_error *page_survey_read(struct walker *w, size_t max_cells, struct page_survey *ret)
{
	struct survey s = { .walker = w, .ret = ret };
	CLEANUP_PLAN struct gdump_plan *plan = NULL;
	struct gdump_error *err;
	const char *missing;

	if (!page_layout_read(&w->source->image, &s.layout, &missing))
		return error_new(GDUMP_ERR_UNSUPPORTED, "VMCOREINFO lacks %s", missing);
	err = plan_create(w->source, &plan);
	if (err)
		return err;
	plan_trim(plan, &w->source->image);
	s.plan = plan;
	err = memmap_read(w->source, s.layout.size, plan_end_pfn(plan), &s.memmap);
	if (err)
		return err;
	err = survey_create_cells(plan, max_cells, ret);
	if (!err) {
		err = survey_run(&s);
		if (err)
			page_survey_deinit(ret);
	}
	memmap_deinit(&s.memmap);
	return err;
}
