/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * slots.h - where guest-physical memory is in a process
 *
 * An array of slots is ascending and its slots do not overlap.
 */
#pragma once

#include "procmem.h"

/* A piece of guest-physical memory, in one piece in the process as well */
struct slot {
	uint64_t paddr, size;
	uint64_t hva;                   /* in the process; 0: not known yet     */
	uint32_t kind;                  /* enum gdump_range_kind                */
};

/* Some pages of the guest, and what is known of them: enum page_state */
struct scan {
	uint64_t pfn, num, page_size;
	unsigned char *state;
};

/* The first slot that ends behind @paddr; @num: there is none. */
size_t slots_find(const struct slot *slots, size_t num, uint64_t paddr);
/* Fill in the state of each page: a hole where the process has nothing. */
void slots_scan(const struct slot *slots, size_t num, const struct procmem *mem,
		const struct scan *scan);
