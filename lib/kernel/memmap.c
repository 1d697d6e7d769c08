/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "memmap.h"

#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "../machine/vmcoreinfo.h"

/* Flags in the low bits of section_mem_map; 7.x uses six. */
enum {
	SECTION_PRESENT = 1 << 0,
	SECTION_HAS_MEMMAP = 1 << 1,
	SECTION_ONLINE = 1 << 2,
	SECTION_FLAGS = 0x3f,
	MAX_SECTIONS = 1 << 24,
};

/* What VMCOREINFO says about mem_section */
struct mem_section_layout {
	uint64_t root;                  /* address of the root array            */
	uint64_t num_roots, per_root;
	uint64_t size, off;             /* of struct mem_section, in it         */
	bool is_static;                 /* the structs themselves, no roots     */
	bool has_online;
};

static struct gdump_error *memmap_missing(const char *what)
{
	return error_new(GDUMP_ERR_UNSUPPORTED, "VMCOREINFO lacks %s", what);
}

static struct gdump_error *memmap_inconsistent(const char *what)
{
	return error_new(GDUMP_ERR_UNSUPPORTED, "VMCOREINFO is inconsistent: %s", what);
}

static struct gdump_error *mem_section_layout_read(const struct image *image,
						   struct mem_section_layout *l, struct memmap *m)
{
	uint64_t section_bits, physmem_bits, length, sections;

	if (!vmcoreinfo_symbol(image, "mem_section", &l->root))
		return memmap_missing("SYMBOL(mem_section): the kernel does not use SPARSEMEM");
	/* VMCOREINFO has it since 5.13, and stable updates of 5.10 */
	if (!vmcoreinfo_number(image, "SECTION_SIZE_BITS", &section_bits))
		section_bits = image->arch->section_bits;
	if (!vmcoreinfo_number(image, "MAX_PHYSMEM_BITS", &physmem_bits) ||
	    !vmcoreinfo_decimal(image, "LENGTH(mem_section)", &length) ||
	    !vmcoreinfo_decimal(image, "SIZE(mem_section)", &l->size) ||
	    !vmcoreinfo_decimal(image, "OFFSET(mem_section.section_mem_map)", &l->off))
		return memmap_missing("MAX_PHYSMEM_BITS or the layout of mem_section");
	if (section_bits < 20 || section_bits > 34 || physmem_bits < 32 || physmem_bits > 56 ||
	    section_bits < log2_u64(image->page_size) || l->size < 8 || l->size > 4096 ||
	    l->off > l->size - 8)
		return memmap_inconsistent("SECTION_SIZE_BITS, MAX_PHYSMEM_BITS, mem_section");
	sections = (uint64_t)1 << (physmem_bits - section_bits);
	m->section_pages = ((uint64_t)1 << section_bits) / image->page_size;
	l->is_static = length == sections;
	l->per_root = l->is_static ? 1 : image->page_size / l->size;
	l->num_roots = length;
	if (!l->is_static && length != div_up(sections, l->per_root))
		return memmap_inconsistent("LENGTH(mem_section)");
	return NULL;
}

static struct gdump_error *memmap_add_section(struct memmap *m, uint64_t number, uint64_t value,
					      uint32_t page_struct_size)
{
	const uint64_t want = SECTION_PRESENT | SECTION_HAS_MEMMAP | SECTION_ONLINE;

	/* pages of a section that is not online are kept */
	if ((value & want) != want)
		return NULL;
	if (m->num_sections == MAX_SECTIONS)
		return error_new(GDUMP_ERR_UNSUPPORTED, "more than %d sections", MAX_SECTIONS);
	if (!ARRAY_GROW(m->sections, m->num_sections))
		return error_nomem();
	/* Linux subtracts the section's first pfn from the array's address */
	m->sections[m->num_sections++] = (struct mem_section){
		.pfn = number * m->section_pages,
		.vaddr = (value & ~(uint64_t)SECTION_FLAGS) +
			 number * m->section_pages * page_struct_size,
	};
	return NULL;
}

/* Whether sections have memory.  Others are skipped; there may be very many of them. */
static bool memmap_has_memory(const struct source *s, const struct memmap *m, uint64_t number,
			      uint64_t num)
{
	const uint64_t size = m->section_pages * s->image.page_size;

	return image_touches(&s->image, number * size, num * size);
}

/* Add the sections of one root, the first of which is @number. */
static struct gdump_error *memmap_read_root(struct walker *w, const struct mem_section_layout *l,
					    uint64_t vaddr, uint64_t number,
					    uint32_t page_struct_size, struct memmap *m)
{
	const bool big = w->source->image.big;
	unsigned char buf[65536];
	const size_t len = (size_t)(l->per_root * l->size);
	struct gdump_error *err;

	if (len > sizeof(buf))
		return memmap_inconsistent("SIZE(mem_section)");
	err = walker_read(w, vaddr, buf, len);
	if (err) {
		/* the pages of an unreadable root are kept */
		gdump_error_destroy(err);
		return NULL;
	}
	for (uint64_t i = 0; !err && i < l->per_root; i++) {
		struct cursor c = cursor_init(buf + i * l->size + l->off, 8, big, true);

		if (memmap_has_memory(w->source, m, number + i, 1))
			err = memmap_add_section(m, number + i, get_u64(&c), page_struct_size);
	}
	return err;
}

/* The address of the structs of root @i; 0: there are none, or they cannot be found, and the
 * pages of these sections are kept.
 */
static uint64_t memmap_root_vaddr(struct walker *w, const struct mem_section_layout *l, uint64_t i)
{
	CLEANUP_ERROR struct gdump_error *err = NULL;
	uint64_t vaddr = 0;

	if (l->is_static)
		return l->root + i * l->size;
	err = walker_uint(w, l->root + 8 * i, 8, &vaddr);
	return err ? 0 : vaddr;
}

static struct gdump_error *memmap_read_roots(struct source *s, const struct mem_section_layout *l,
					     uint32_t page_struct_size, uint64_t end_pfn,
					     struct memmap *m)
{
	const uint64_t num_sections = div_up(end_pfn, m->section_pages);
	const uint64_t num_roots = MIN(div_up(num_sections, l->per_root), l->num_roots);
	struct gdump_error *err = NULL;
	struct walker w;

	if (num_roots > MAX_SECTIONS)
		return error_new(GDUMP_ERR_UNSUPPORTED, "more than %d sections", MAX_SECTIONS);
	walker_init(&w, &m->paging, s);
	for (uint64_t i = 0; !err && i < num_roots; i++) {
		const uint64_t first = i * l->per_root;
		uint64_t vaddr = 0;

		if (memmap_has_memory(s, m, first, l->per_root))
			vaddr = memmap_root_vaddr(&w, l, i);
		if (vaddr)
			err = memmap_read_root(&w, l, vaddr, first, page_struct_size, m);
	}
	walker_deinit(&w);
	if (!err && !m->num_sections)
		err = error_new(GDUMP_ERR_UNSUPPORTED, "the list of memory sections is empty");
	return err;
}

struct gdump_error *memmap_read(struct source *s, uint32_t page_struct_size, uint64_t end_pfn,
				struct memmap *ret)
{
	struct mem_section_layout l = { 0 };
	struct memmap m = { 0 };
	struct gdump_error *err;

	err = paging_of_kernel(s, &m.paging);
	if (err)
		return err;
	err = mem_section_layout_read(&s->image, &l, &m);
	if (!err)
		err = error_prefix(memmap_read_roots(s, &l, page_struct_size, end_pfn, &m),
				   "the guest's memory map");
	if (err) {
		memmap_deinit(&m);
		return err;
	}
	*ret = m;
	return NULL;
}

void memmap_deinit(struct memmap *m)
{
	free(m->sections);
	m->sections = NULL;
	paging_deinit(&m->paging);
}
