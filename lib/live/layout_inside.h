/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * layout_inside.h - what layout.c and layout_place.c share
 */
#pragma once

#include "../machine/source.h"
#include "memory_map.h"

struct layout {
	struct source source;
	struct procmem *mem;
	struct memory_map map;          /* that @source reads                   */
	struct procmem_span *spans;
	size_t num_spans;
	/* whose place is proven: the kernel's name, and the firmware's tables if they were found */
	struct layout_anchor { uint64_t paddr, hva; } anchors[2];
	size_t num_anchors;
	uint64_t offset;                /* of the direct map: vaddr - paddr     */
	uint64_t end_us;                /* when to give up                      */
};

/* Have the source read [paddr, paddr + size) at @hva as well. */
MUST_CHECK struct gdump_error *layout_add(struct layout *l, uint64_t paddr, uint64_t size,
					  uint64_t hva);
/* The slots are complete: the ranges of the image are theirs. */
MUST_CHECK struct gdump_error *layout_seal(struct layout *l);
/* Have the source read all memory that may be the guest's, at the addresses of the process. */
MUST_CHECK struct gdump_error *layout_read_spans(struct layout *l);
/* The span that has the address @hva of the process; NULL: none has. */
const struct procmem_span *layout_span_at(const struct layout *l, uint64_t hva);

/* The memory around the kernel is known, and the source reads that: find the place of all other.
 * Then the source reads all of it.
 */
MUST_CHECK struct gdump_error *layout_place_all(struct layout *l);
