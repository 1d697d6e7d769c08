/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * zones.h - the page allocator's own count
 */
#pragma once

#include "../machine/walker.h"

/* How many pages of all zones are free; false: VMCOREINFO does not lead there. */
bool zones_free_pages(struct walker *w, uint64_t *ret);
