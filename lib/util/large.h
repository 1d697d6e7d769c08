/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * large.h - memory that is large and will be touched as a whole
 */
#pragma once

#include <stdlib.h>
#include <sys/mman.h>

#include "bits.h"

/* As malloc(), to be freed with free(); in huge pages if the kernel has some: touching it
 * for the first time then takes one page fault for each 2 MiB instead of 512.
 */
static inline void *large_alloc(size_t size)
{
	const size_t huge = 2 << 20;
	void *p;

	if (size < 2 * huge || size > SIZE_MAX - huge)
		return malloc(size);
	size = (size_t)round_up(size, huge);
	p = aligned_alloc(huge, size);
	if (p)
		(void)madvise(p, size, MADV_HUGEPAGE);
	return p;
}
