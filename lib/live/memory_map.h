/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * memory_map.h - where guest-physical memory is in a process
 *
 * A memory map does not know whose process it is or how it was found. Once it is complete it
 * is only read, so that all functions but the last may be called from many threads at once.
 */
#pragma once

#include "../machine/image.h"
#include "procmem.h"

/* A range of guest-physical memory that is in one piece in the process as well */
struct mem_slot {
	uint64_t paddr, size;           /* size is not 0                        */
	uint64_t hva;                   /* in the process; 0: not known yet     */
	uint32_t kind;                  /* enum gdump_range_kind                */
};

/* All zero: empty */
struct memory_map {
	struct mem_slot *slots;         /* ascending, not overlapping; owned    */
	size_t num_slots;
};

/* The first slot that ends after @paddr; num_slots: there is none. */
size_t memory_map_find(const struct memory_map *map, uint64_t paddr);
/* Bytes in all slots */
uint64_t memory_map_size(const struct memory_map *map);
bool memory_map_equals(const struct memory_map *a, const struct memory_map *b);
/* Add the slots to the image's ranges. */
MUST_CHECK struct gdump_error *memory_map_to_image(const struct memory_map *map,
						   struct image *image);

/* The functions below read slots in @mem, the process that the map is of. These two do what
 * source_ops.read and source_ops.borrow promise; the caller asks for nothing outside of
 * slots.
 */
MUST_CHECK struct gdump_error *memory_map_read(const struct memory_map *map,
					       const struct procmem *mem, uint64_t paddr,
					       void *buf, size_t len);
const void *memory_map_borrow(const struct memory_map *map, const struct procmem *mem,
			      uint64_t paddr, size_t len, uint32_t page_size);

/* Pages of the guest, and what is known of each: enum page_state */
struct page_scan {
	uint64_t pfn, num, page_size;
	unsigned char *state;
};
/* Fill in the state of each page: a hole where the process has nothing. */
void memory_map_scan(const struct memory_map *map, const struct procmem *mem,
		     const struct page_scan *scan);

void memory_map_deinit(struct memory_map *map);
