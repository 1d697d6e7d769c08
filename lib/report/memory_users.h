/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * memory_users.h - the largest users of memory
 */
#pragma once

#include "report.h"

/* Add the largest processes to a list, the largest first. */
void memory_add_processes(struct report *r, struct gdump_fact *to);
/* Add the largest caches of the slab allocator to a list, the largest first. */
void memory_add_slabs(struct report *r, struct gdump_fact *to);
