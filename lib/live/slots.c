/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "slots.h"

#include <string.h>

#include "../machine/source.h"
#include "../util/bits.h"

size_t slots_find(const struct slot *slots, size_t num, uint64_t paddr)
{
	size_t lo = 0, hi = num;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (slots[mid].paddr + (slots[mid].size - 1) < paddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Some memory in [paddr, paddr + size) has something in it. */
static void scan_mark(const struct scan *scan, uint64_t paddr, uint64_t size)
{
	uint64_t pfn = MAX(paddr / scan->page_size, scan->pfn);
	uint64_t last = MIN((paddr + size - 1) / scan->page_size, scan->pfn + scan->num - 1);

	for (; pfn <= last; pfn++)
		scan->state[pfn - scan->pfn] = PAGE_THERE;
}

/* Look at the host's pages under [paddr, paddr + size) of @slot. */
static void scan_slot(const struct procmem *mem, const struct slot *slot, const struct scan *scan,
		      uint64_t paddr, uint64_t size)
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
				scan_mark(scan, slot->paddr + (hva - slot->hva), next - hva);
			hva = next;
		}
	}
}

void slots_scan(const struct slot *slots, size_t num, const struct procmem *mem,
		const struct scan *scan)
{
	const uint64_t start = scan->pfn * scan->page_size;
	const uint64_t last = start + (scan->num * scan->page_size - 1);

	memset(scan->state, PAGE_HOLE, scan->num);
	for (size_t i = slots_find(slots, num, start); i < num && slots[i].paddr <= last; i++) {
		const uint64_t from = MAX(start, slots[i].paddr);
		const uint64_t to = MIN(last, slots[i].paddr + (slots[i].size - 1));

		scan_slot(mem, &slots[i], scan, from, to - from + 1);
	}
}
