/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mappings.h - everything that a guest's page tables map
 */
#pragma once

#include "../machine/walker.h"

/* Ascending by vaddr; mappings that are contiguous in both addresses are merged. */
struct mappings {
	struct mapping *maps;
	size_t num;
	uint64_t num_outside;           /* page tables that are not in memory   */
};

/* Find what the page tables of the kernel and of the processes on the CPUs map, if the dump
 * leads to them.  GDUMP_ERR_UNSUPPORTED: there are too many mappings.  The caller calls
 * mappings_deinit() after success.
 */
MUST_CHECK struct gdump_error *mappings_find(struct source *s, struct mappings *ret);
void mappings_deinit(struct mappings *m);
/* The offset, vaddr - paddr, of the map that the kernel has of all of its memory; 0: not found */
uint64_t mappings_direct_offset(const struct mappings *m);
