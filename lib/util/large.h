/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * large.h - large buffers that will be used completely
 */
#pragma once

#include <stdlib.h>
#include <sys/mman.h>

#include "bits.h"

/* Like malloc(); free() it.  The kernel is asked for huge pages, so that the first access
 * takes one page fault for each 2 MiB instead of 512.
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
