/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * memmap.h - where Linux keeps the struct page of each page
 *
 * Memory is divided into sections (SPARSEMEM); each present one has an array of
 * struct page, linear inside of it.  Source: Linux's include/linux/mmzone.h.
 */
#pragma once

#include "../machine/walker.h"

struct mem_section {
	uint64_t pfn;                   /* of its first page                    */
	uint64_t vaddr;                 /* of that page's struct page           */
};

struct memmap {
	struct paging paging;
	uint64_t section_pages;
	struct mem_section *sections;       /* present and in use, ascending        */
	size_t num_sections;
};

/* @end_pfn: sections above it are not looked for.  False: @why says what is
 * missing or makes no sense.
 */
MUST_CHECK struct gdump_error *memmap_read(struct source *s, uint32_t page_struct_size,
					   uint64_t end_pfn, struct memmap *ret);
void memmap_deinit(struct memmap *m);
