/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mtree.h - the guest's memory map, as QEMU's "info mtree -f" prints it
 *
 *     FlatView #1
 *      AS "memory", root: system
 *      AS "cpu-memory-0", root: system
 *      Root memory region: system
 *       0000000000000000-00000000000bffff (prio 0, ram): pc.ram
 *       00000000000c0000-00000000000fffff (prio 0, rom): pc.ram @00000000000c0000
 *       00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi
 *
 * with one such block for each different view; ours is the one of the address
 * space "memory", which QEMU's own dump goes by.
 */
#pragma once

#include "../error.h"

struct mtree_range {
	uint64_t start, size;           /* guest-physical                       */
	uint64_t off;                   /* in the memory region                 */
	bool ram;                       /* not rom                              */
	char *name;                     /* of the memory region; not unique     */
};

/* What QEMU puts into a dump: ram, rom and nv-ram; ascending, not overlapping. */
struct mtree {
	struct mtree_range *ranges;
	size_t num_ranges;
};

/* A line that makes no sense is GDUMP_ERR_REMOTE; a kind of memory that we have
 * never heard of is left out and told to the warn function of @opt.
 */
MUST_CHECK struct gdump_error *mtree_parse(const char *text, const struct gdump_open_options *opt,
					   struct mtree *ret);
void mtree_deinit(struct mtree *m);
