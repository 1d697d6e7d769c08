/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * blocks.c - where in the guest the memory blocks of QEMU's migration stream are
 *
 * Facts: QEMU's qemu_ram_set_idstr() and memory_region_name(): a block is called as
 * its memory region, with the path of its device in front if it has one.
 */
#include "blocks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"

static const char *block_map_last_part(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

/* How many blocks may be the one that @name means; @ret is one of them. */
static size_t block_map_find_block(const struct migration *m, const char *name, uint32_t *ret)
{
	size_t num = 0;

	for (uint32_t i = 0; i < m->num_blocks; i++) {
		const char *block = m->blocks[i].name;

		if (!strcmp(block, name)) {
			*ret = i;
			return 1;
		}
		if (!strcmp(block_map_last_part(block), block_map_last_part(name))) {
			*ret = i;
			num++;
		}
	}
	return num;
}

/* Whether some of it is RAM of the guest: of what is not plugged, nothing is. */
static bool block_map_is_ram(const struct mtree_range *r, const struct memory_map *memory)
{
	const size_t i = memory_map_find(memory, r->start);

	return i < memory->num_slots && memory->slots[i].kind == GDUMP_RANGE_RAM &&
	       memory->slots[i].paddr <= r->start + (r->size - 1);
}

static struct gdump_error *block_map_add_range(struct block_map *map, const struct mtree_range *r,
					       const struct migration *m, bool ram)
{
	uint32_t block = 0;
	const size_t num = block_map_find_block(m, r->name, &block);
	const bool fits = num == 1 && range_fits(r->off, r->size, m->blocks[block].size);

	if (fits)
		map->ranges[map->num++] = (struct block_range){
			.block = block, .off = r->off, .size = r->size, .paddr = r->start,
		};
	else if (ram)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "in QEMU's snapshot, %zu memory blocks could be \"%s\" at 0x%" PRIx64,
				 num, r->name, r->start);
	return NULL;
}

static int block_piece_by_size(const void *a, const void *b)
{
	const struct block_range *x = a, *y = b;

	return (x->size < y->size) - (x->size > y->size);
}

struct gdump_error *block_map_make(struct block_map *map, const struct mtree *mtree,
				   const struct memory_map *memory, const struct migration *m)
{
	struct gdump_error *err = NULL;

	map->ranges = calloc(mtree->num_ranges + 1, sizeof(*map->ranges));
	if (!map->ranges)
		return error_nomem();
	for (size_t i = 0; !err && i < mtree->num_ranges; i++) {
		const struct mtree_range *r = &mtree->ranges[i];

		err = block_map_add_range(map, r, m, block_map_is_ram(r, memory));
	}
	qsort(map->ranges, map->num, sizeof(*map->ranges), block_piece_by_size);
	return err;
}

void block_map_deinit(struct block_map *map)
{
	free(map->ranges);
	*map = (struct block_map){ 0 };
}

bool block_map_next(const struct block_map *map, uint32_t block, uint64_t off, size_t *i,
		    uint64_t *paddr)
{
	while (*i < map->num) {
		const struct block_range *p = &map->ranges[(*i)++];

		if (p->block == block && off >= p->off && off - p->off < p->size) {
			*paddr = p->paddr + (off - p->off);
			return true;
		}
	}
	return false;
}

bool block_map_has(const struct block_map *map, uint64_t paddr)
{
	for (size_t i = 0; i < map->num; i++) {
		const struct block_range *p = &map->ranges[i];

		if (paddr >= p->paddr && paddr - p->paddr < p->size)
			return true;
	}
	return false;
}
