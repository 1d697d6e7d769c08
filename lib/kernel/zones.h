/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * zones.h - the page allocator's count of free pages
 */
#pragma once

#include "../machine/walker.h"

/* Count the free pages of all zones; false: VMCOREINFO does not lead to them. */
bool zones_free_pages(struct walker *w, uint64_t *ret);
