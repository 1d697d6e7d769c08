/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * memmap.h - where Linux keeps the struct page of each page
 *
 * Memory is divided into sections (SPARSEMEM); each present one has an array of struct page.
 *
 * Facts: Linux's include/linux/mmzone.h.
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

/* Find the sections below @end_pfn.  GDUMP_ERR_UNSUPPORTED: VMCOREINFO lacks something, or
 * contradicts itself.  The caller calls memmap_deinit() after success.
 */
MUST_CHECK struct gdump_error *memmap_read(struct source *s, uint32_t page_struct_size,
					   uint64_t end_pfn, struct memmap *ret);
void memmap_deinit(struct memmap *m);
