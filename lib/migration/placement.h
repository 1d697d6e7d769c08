/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * migration/placement.h - where in guest-physical memory a stream's blocks are
 *
 * The stream does not tell: it comes from the rules of QEMU's machines, from what
 * the devices' states give away, and from outside.
 */
#pragma once

#include "devices.h"
#include "migration.h"

/* A piece of a block at its place. */
struct migration_region {
	uint64_t paddr, size;
	uint64_t off;                   /* in the block                         */
	uint32_t block;
};

/* A whole block's place, as somebody else knows it. */
struct migration_place {
	char block[80];
	uint64_t paddr;
};

struct migration_hints {
	const char *machine;            /* where the stream does not say; or NULL */
	const struct migration_place *places;
	size_t num_places;
};

struct migration_layout {
	uint16_t machine;               /* ELF e_machine, 0: unknown            */
	struct migration_region *regions;       /* ascending, not overlapping   */
	size_t num_regions;
	const char *warning;            /* static; NULL: all is certain         */
};

/* GDUMP_ERR_UNSUPPORTED, with the block's name, when a place cannot be known. */
MUST_CHECK struct gdump_error *migration_layout_make(struct migration_layout *l,
						     const struct migration *m,
						     const struct devices *d,
						     const struct migration_hints *hints);
void migration_layout_deinit(struct migration_layout *l);
