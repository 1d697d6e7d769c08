/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_map.c - what each part of memory is used for, from its beginning to its end
 */
#include "../kernel/page_survey.h"
#include "report.h"

enum { MAX_CELLS = 1024 };

static const char *const map_names[PAGE_KINDS] = {
	[PAGE_UNKNOWN] = "unknown",
	[PAGE_FREE] = "free",
	[PAGE_CACHE] = "page_cache",
	[PAGE_ANON] = "anonymous",
	[PAGE_HUGETLB] = "hugetlb",
	[PAGE_SLAB] = "slab",
	[PAGE_OFFLINE] = "offline",
	[PAGE_KERNEL] = "kernel",
};

static void map_add_kinds(const uint64_t *kinds, uint64_t page_size, struct gdump_fact *to)
{
	for (size_t i = 0; i < PAGE_KINDS; i++) {
		if (kinds[i])
			fact_number(to, map_names[i], kinds[i] * page_size, GDUMP_UNIT_BYTES);
	}
}

static struct gdump_error *map_collect(struct report *r, struct gdump_fact *to)
{
	const uint64_t page_size = r->source->image.page_size;
	uint64_t sums[PAGE_KINDS] = { 0 };
	struct page_survey survey;
	struct gdump_error *err = page_survey_read(&r->kernel.walker, MAX_CELLS, &survey);
	struct gdump_fact *list;

	if (err)
		return err;
	for (size_t i = 0; i < survey.num; i++) {
		for (size_t k = 0; k < PAGE_KINDS; k++)
			sums[k] += survey.cells[i].kinds[k];
	}
	map_add_kinds(sums, page_size, fact_group(to, "sum"));
	if (survey.is_sample)
		fact_flag(to, "is_sample", true);
	fact_number(to, "cell_size", survey.cell_pages * page_size, GDUMP_UNIT_BYTES);
	list = fact_list(to, "cells");
	for (size_t i = 0; i < survey.num; i++) {
		struct gdump_fact *cell = fact_group(list, "cell");

		fact_address(cell, "start", survey.cells[i].pfn * page_size);
		map_add_kinds(survey.cells[i].kinds, page_size, cell);
	}
	page_survey_deinit(&survey);
	return NULL;
}

const struct section section_map = {
	.name = "map",
	.needs_kernel = true,
	.no_verdict = true,
	.collect = map_collect,
};
