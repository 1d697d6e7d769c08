/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * assembly.h - the guest's pages out of smaller ones
 */
#pragma once

#include "../error.h"

struct assembly {
	uint32_t page_size;             /* of the guest                         */
	uint32_t part_size;             /* up to 64 of them are a page          */
	void *tree;                     /* pages that are not whole yet, by pfn */
	size_t num;
	void *whole;                    /* the last one that was returned       */
};

/* The part of a page that is at @paddr, @data (NULL: it is zero).  When that makes it
 * whole, *@page is the page, until the next call, else NULL.
 */
MUST_CHECK struct gdump_error *assembly_add(struct assembly *a, uint64_t paddr, const void *data,
					    const void **page);
void assembly_deinit(struct assembly *a);
