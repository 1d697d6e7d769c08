/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * arch/ppc64_paging.c - the address space of a Linux kernel on POWER
 *
 * With the radix MMU, page tables describe it.  With the hash MMU, the CPU does not use the
 * kernel's tables.  Then the linear map, which needs no tables, and vmemmap_list, the
 * kernel's list of the pages that hold its array of struct page, lead to everything except
 * modules and vmalloc().
 *
 * Facts: Linux's arch/powerpc/mm/init_64.c and include/asm/book3s/64/radix.h.
 */
#include <stdlib.h>

#include "../machine/image.h"
#include "../machine/walker.h"
#include "../machine/vmcoreinfo.h"
#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cursor.h"
#include "arch.h"

static const uint64_t linear_map = 0xc000000000000000;

enum { MAX_PIECES = 1 << 20 };

/* Radix: entries are always big-endian; bit 63: valid, bit 62: a page. */
static enum entry_kind ppc64_radix_entry(const struct paging *p, unsigned int level, uint64_t entry,
					 uint64_t *paddr)
{
	if (!(entry >> 63))
		return ENTRY_NONE;
	*paddr = entry & 0x001fffffffffff00;
	if (entry >> 62 & 1)
		return ENTRY_PAGE;
	return level + 1 < p->levels ? ENTRY_TABLE : ENTRY_NONE;
}

static void ppc64_set_radix(struct paging *p, uint64_t root, bool large)
{
	static const uint8_t shifts_64k[] = { 39, 30, 21, 16 }, bits_64k[] = { 13, 9, 9, 5 };
	static const uint8_t shifts_4k[] = { 39, 30, 21, 12 }, bits_4k[] = { 13, 9, 9, 9 };

	p->root = root;
	p->levels = 4;
	p->big = true;
	p->entry = ppc64_radix_entry;
	p->high = linear_map;
	for (unsigned int i = 0; i < p->levels; i++) {
		p->shift[i] = large ? shifts_64k[i] : shifts_4k[i];
		p->bits[i] = large ? bits_64k[i] : bits_4k[i];
	}
}

/* VMCOREINFO says so since 6.9; before, radix tables are those that lead to the kernel image. */
static bool ppc64_is_radix(struct source *s, const struct paging *p)
{
	uint64_t radix, vaddr, want, paddr, len;
	struct walker w;
	bool same;

	if (vmcoreinfo_number(&s->image, "RADIX_MMU", &radix))
		return radix;
	if (!vmcoreinfo_symbol(&s->image, "_stext", &vaddr) ||
	    !arch_ppc64.image_paddr(&s->image, vaddr, &want))
		return false;
	walker_init(&w, p, s);
	same = walker_translate(&w, vaddr, &paddr, &len) && paddr == want;
	walker_deinit(&w);
	return same;
}

/* Read an integer in the linear map. */
static bool ppc64_read_linear(struct source *s, uint64_t vaddr, unsigned int size, uint64_t *ret)
{
	unsigned char buf[8];
	struct cursor c = cursor_init(buf, size, s->image.big, true);
	uint64_t paddr;

	if (!arch_ppc64.image_paddr(&s->image, vaddr, &paddr))
		return false;
	CLEANUP_ERROR struct gdump_error *err = source_read(s, paddr, buf, size);

	*ret = err ? 0 : get_uint(&c, size);
	return !err;
}

/* The size of the memory that an entry of vmemmap_list describes; 0: unknown */
static uint64_t ppc64_backing_size(struct source *s)
{
	const struct image *image = &s->image;
	uint64_t index, defs, def_size, off, at, shift;

	if (!vmcoreinfo_symbol(image, "mmu_vmemmap_psize", &at) ||
	    !ppc64_read_linear(s, at, 4, &index) ||
	    !vmcoreinfo_symbol(image, "mmu_psize_defs", &defs) ||
	    !vmcoreinfo_decimal(image, "SIZE(mmu_psize_def)", &def_size) ||
	    !vmcoreinfo_decimal(image, "OFFSET(mmu_psize_def.shift)", &off) || index > 64 ||
	    def_size > 4096 || !ppc64_read_linear(s, defs + index * def_size + off, 4, &shift) ||
	    shift < 12 || shift > 34)
		return 0;
	return (uint64_t)1 << shift;
}

static bool ppc64_add_piece(struct paging *p, uint64_t vaddr, uint64_t paddr, uint64_t size)
{
	if (p->num_pieces == MAX_PIECES || !ARRAY_GROW(p->pieces, p->num_pieces))
		return false;
	p->pieces[p->num_pieces++] = (struct mapping){ vaddr, paddr, size };
	return true;
}

static int ppc64_compare(const void *a, const void *b)
{
	const struct mapping *x = a, *y = b;

	return (x->vaddr > y->vaddr) - (x->vaddr < y->vaddr);
}

/* Sort by address, and remove mappings that overlap the one before. */
static void ppc64_sort_pieces(struct paging *p)
{
	size_t n = 1;

	qsort(p->pieces, p->num_pieces, sizeof(*p->pieces), ppc64_compare);
	for (size_t i = 1; i < p->num_pieces; i++) {
		const struct mapping *last = &p->pieces[n - 1];

		if (p->pieces[i].vaddr - last->vaddr >= last->size)
			p->pieces[n++] = p->pieces[i];
	}
	p->num_pieces = n;
}

/* Add the entries of vmemmap_list.  A circular list ends at MAX_PIECES. */
static bool ppc64_add_vmemmap(struct source *s, struct paging *p)
{
	const struct image *image = &s->image;
	const uint64_t size = ppc64_backing_size(s);
	uint64_t at, list, phys, virt, vaddr, paddr;

	if (!size || !vmcoreinfo_symbol(image, "vmemmap_list", &at) ||
	    !vmcoreinfo_decimal(image, "OFFSET(vmemmap_backing.list)", &list) ||
	    !vmcoreinfo_decimal(image, "OFFSET(vmemmap_backing.phys)", &phys) ||
	    !vmcoreinfo_decimal(image, "OFFSET(vmemmap_backing.virt_addr)", &virt) ||
	    !ppc64_read_linear(s, at, 8, &at))
		return false;
	while (at) {
		if (!ppc64_read_linear(s, at + phys, 8, &paddr) ||
		    !ppc64_read_linear(s, at + virt, 8, &vaddr) ||
		    !ppc64_read_linear(s, at + list, 8, &at) ||
		    !ppc64_add_piece(p, vaddr, paddr, size))
			return false;
	}
	return true;
}

static bool ppc64_set_hash(struct source *s, struct paging *p)
{
	const struct image *image = &s->image;
	uint64_t end = 0;

	for (size_t i = 0; i < image->num_ranges; i++)
		end = MAX(end, image->ranges[i].start + image->ranges[i].size);
	*p = (struct paging){ 0 };
	if (!end || !ppc64_add_piece(p, linear_map, 0, end) || !ppc64_add_vmemmap(s, p)) {
		paging_deinit(p);
		return false;
	}
	ppc64_sort_pieces(p);
	return true;
}

bool ppc64_paging(struct source *s, struct paging *ret)
{
	const struct image *image = &s->image;
	uint64_t vaddr, root;

	if (!vmcoreinfo_symbol(image, "swapper_pg_dir", &vaddr) ||
	    !arch_ppc64.image_paddr(image, vaddr, &root))
		return false;
	ppc64_set_radix(ret, root, image->page_size == 65536);
	return ppc64_is_radix(s, ret) || ppc64_set_hash(s, ret);
}
