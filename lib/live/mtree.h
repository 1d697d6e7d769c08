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
 * It prints one such block for each different view.  The parser reads that of the address
 * space "memory", which QEMU's own dump uses too.
 */
#pragma once

#include "../error.h"

struct mtree_range {
	uint64_t start, size;           /* guest-physical                       */
	uint64_t off;                   /* in the memory region                 */
	bool ram;                       /* not rom                              */
	char *name;                     /* of the memory region; not unique     */
};

/* The memory that QEMU dumps: ram, rom, nv-ram and nv-rom; ascending, not overlapping. */
struct mtree {
	struct mtree_range *ranges;
	size_t num_ranges;
};

/* GDUMP_ERR_REMOTE for an invalid line.  Memory of an unknown kind is omitted, and the warn
 * function of @opt is called.
 */
MUST_CHECK struct gdump_error *mtree_parse(const char *text, const struct gdump_open_options *opt,
					   struct mtree *ret);
void mtree_deinit(struct mtree *m);
