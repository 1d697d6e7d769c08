/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mappings.h - all that a guest's page tables map
 */
#pragma once

#include "../machine/walker.h"

/* Ascending by vaddr; what is contiguous in both is one. */
struct mappings {
	struct mapping *maps;
	size_t num;
};

/* What the tables of the kernel and of the processes that the CPUs were running
 * map, as far as the dump tells where they are.  Tables may hold anything: each
 * counts once, and too many mappings are GDUMP_ERR_UNSUPPORTED.
 */
MUST_CHECK struct gdump_error *mappings_find(struct source *s, struct mappings *ret);
void mappings_deinit(struct mappings *m);
