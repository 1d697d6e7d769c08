/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/placement.h - where in guest-physical memory a stream's blocks are
 *
 * The stream does not say: it follows from the rules of QEMU's machines, from what
 * the devices' states contain, and from what the caller knows.
 */
#pragma once

#include "devices.h"
#include "migration.h"

/* The address of a whole block */
struct block_addr {
	char block[80];                 /* its name                             */
	uint64_t paddr;
};

/* What the caller knows */
struct placement_hints {
	const char *machine;            /* where the stream does not say; or NULL */
	const struct block_addr *addrs;
	size_t num_addrs;
};

struct placement {
	uint16_t machine;               /* ELF e_machine                        */
	struct block_range *ranges;     /* ascending, not overlapping           */
	size_t num_ranges;
	char warning[256];              /* what is assumed or omitted; "": nothing */
};

/* Find all blocks of RAM of @m, whose devices are @d.  @l is zero, and placement_deinit()
 * is due also after an error: GDUMP_ERR_UNSUPPORTED, when the machine is unknown.  A dump with a
 * warning is incomplete.
 */
MUST_CHECK struct gdump_error *placement_make(struct placement *l, const struct migration *m,
					      const struct devices *d,
					      const struct placement_hints *hints);
void placement_deinit(struct placement *l);
