/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * blocks.h - where in the guest the memory blocks of QEMU's migration stream are
 *
 * A block has a name and no address.  The memory map has both, but names of its own:
 * "vga.vram" for the block "0000:00:02.0/vga.vram".
 */
#pragma once

#include "../migration/migration.h"
#include "memory_map.h"
#include "mtree.h"

struct block_map {
	struct block_range *ranges;     /* the largest first; a part of a block may be
					 * in several                           */
	size_t num;
};

/* Find the pieces of @mtree in the blocks of @m.  What is RAM by @memory has to be in
 * just one: else GDUMP_ERR_UNSUPPORTED.  A device's memory whose name is not so clear
 * is left out.
 */
MUST_CHECK struct gdump_error *block_map_make(struct block_map *map, const struct mtree *mtree,
					      const struct memory_map *memory,
					      const struct migration *m);
void block_map_deinit(struct block_map *map);

/* The next place, from piece *@i on, which moves past it, of the byte at @off of
 * @block.  False: there is none.
 */
bool block_map_next(const struct block_map *map, uint32_t block, uint64_t off, size_t *i,
		    uint64_t *paddr);
/* Whether any block is there. */
bool block_map_has(const struct block_map *map, uint64_t paddr);
