/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "memory_map.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../machine/source.h"
#include "../util/bisect.h"
#include "../util/bits.h"

static uint64_t mem_slot_last(const struct mem_slot *s)
{
	return s->paddr + (s->size - 1);
}

size_t memory_map_find(const struct memory_map *map, uint64_t paddr)
{
	return BISECT(map->num_slots, i, mem_slot_last(&map->slots[i]) >= paddr);
}

uint64_t memory_map_size(const struct memory_map *map)
{
	uint64_t ret = 0;

	for (size_t i = 0; i < map->num_slots; i++)
		ret += map->slots[i].size;
	return ret;
}

static bool mem_slot_equals(const struct mem_slot *a, const struct mem_slot *b)
{
	return a->paddr == b->paddr && a->size == b->size && a->hva == b->hva && a->kind == b->kind;
}

bool memory_map_equals(const struct memory_map *a, const struct memory_map *b)
{
	size_t i = 0;

	while (i < a->num_slots && i < b->num_slots && mem_slot_equals(&a->slots[i], &b->slots[i]))
		i++;
	return i == a->num_slots && i == b->num_slots;
}

struct gdump_error *memory_map_to_image(const struct memory_map *map, struct image *image)
{
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < map->num_slots; i++) {
		const struct mem_slot *s = &map->slots[i];

		err = image_add_range(image, s->paddr, s->size, s->kind);
	}
	return err;
}

struct gdump_error *memory_map_read(const struct memory_map *map, const struct procmem *mem,
				    uint64_t paddr, void *buf, size_t len)
{
	struct gdump_error *err;
	size_t n;

	for (size_t i = memory_map_find(map, paddr); len; i++) {
		const struct mem_slot *s = &map->slots[i];

		if (i == map->num_slots || paddr < s->paddr)
			return error_new(GDUMP_ERR_NODATA, "the guest has no memory at 0x%" PRIx64,
					 paddr);
		n = (size_t)MIN(mem_slot_last(s) - paddr, (uint64_t)len - 1) + 1;
		err = procmem_read(mem, s->hva + (paddr - s->paddr), buf, n);
		if (err)
			return error_prefix(err, "guest memory at 0x%" PRIx64, paddr);
		paddr += n;
		buf = (char *)buf + n;
		len -= n;
	}
	return NULL;
}

/* Whether all of the host's pages there may be looked at without allocating one */
static bool mem_slot_has_no_hole(const struct procmem *mem, uint64_t hva, size_t len)
{
	uint64_t page = procmem_page_size(mem), start = round_down(hva, page);
	unsigned char there[512];

	for (uint64_t num = div_up(hva - start + len, page); num;) {
		size_t n = (size_t)MIN(num, (uint64_t)ARRAY_SIZE(there));

		procmem_scan(mem, start, n, there);
		if (memchr(there, 0, n))
			return false;
		start += n * page;
		num -= n;
	}
	return true;
}

const void *memory_map_borrow(const struct memory_map *map, const struct procmem *mem,
			      uint64_t paddr, size_t len, uint32_t page_size)
{
	const size_t i = memory_map_find(map, paddr);
	const struct mem_slot *s = &map->slots[i];
	const void *p;
	uint64_t hva;

	if (i == map->num_slots || paddr < s->paddr ||
	    !range_fits(paddr - s->paddr, len, s->size))
		return NULL;
	hva = s->hva + (paddr - s->paddr);
	p = procmem_borrow(mem, hva, len);
	/* of a large page that is there, some of the host's may not be */
	if (p && page_size > procmem_page_size(mem) && !mem_slot_has_no_hole(mem, hva, len))
		return NULL;
	return p;
}

/* Some memory in [paddr, paddr + size) has something in it. */
static void page_scan_mark(const struct page_scan *scan, uint64_t paddr, uint64_t size)
{
	uint64_t pfn = MAX(paddr / scan->page_size, scan->pfn);
	uint64_t last = MIN((paddr + size - 1) / scan->page_size, scan->pfn + scan->num - 1);

	for (; pfn <= last; pfn++)
		scan->state[pfn - scan->pfn] = PAGE_THERE;
}

/* Look at the host's pages under [paddr, paddr + size) of @slot. */
static void page_scan_slot(const struct page_scan *scan, const struct procmem *mem,
			   const struct mem_slot *slot, uint64_t paddr, uint64_t size)
{
	uint64_t page = procmem_page_size(mem);
	uint64_t hva = slot->hva + (paddr - slot->paddr), end = hva + size;
	unsigned char there[512];
	size_t num;

	while (hva < end) {
		uint64_t start = round_down(hva, page);

		num = (size_t)MIN(div_up(end - start, page), (uint64_t)ARRAY_SIZE(there));
		procmem_scan(mem, start, num, there);
		for (size_t i = 0; i < num; i++) {
			uint64_t next = MIN(start + (i + 1) * page, end);

			if (there[i])
				page_scan_mark(scan, slot->paddr + (hva - slot->hva), next - hva);
			hva = next;
		}
	}
}

void memory_map_scan(const struct memory_map *map, const struct procmem *mem,
		     const struct page_scan *scan)
{
	const uint64_t start = scan->pfn * scan->page_size;
	const uint64_t last = start + (scan->num * scan->page_size - 1);
	const struct mem_slot *s = map->slots + memory_map_find(map, start);

	memset(scan->state, PAGE_HOLE, scan->num);
	for (; s < map->slots + map->num_slots && s->paddr <= last; s++) {
		const uint64_t from = MAX(start, s->paddr), to = MIN(last, mem_slot_last(s));

		page_scan_slot(scan, mem, s, from, to - from + 1);
	}
}

void memory_map_deinit(struct memory_map *map)
{
	free(map->slots);
	*map = (struct memory_map){ 0 };
}
