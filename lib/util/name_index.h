/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * name_index.h - find a name among many: a hash table of numbers
 *
 * The owner of the names passes a function that returns each of them.  Names are foreign, so
 * searches are short: a name that would need a long one is not in the index.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_INDEX_NONE UINT32_MAX

/* Name @number of @owner; NULL: leave it out. */
typedef const char *name_at_fn(const void *owner, uint32_t number);

struct name_index {
	uint32_t *slots;                /* numbers + 1; 0: free                 */
	size_t size;                    /* a power of two; 0: no index          */
};

/* Index the names 0 to @num - 1; the first of equal names counts.  False: no memory. */
bool name_index_init(struct name_index *x, uint32_t num, name_at_fn *name_at, const void *owner);
void name_index_deinit(struct name_index *x);

/* The number of @name, or NAME_INDEX_NONE */
uint32_t name_index_find(const struct name_index *x, const char *name, name_at_fn *name_at,
			 const void *owner);
