/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "name_index.h"

#include <stdlib.h>
#include <string.h>

enum { MIN_SIZE = 64, SLOTS_PER_NAME = 3, MAX_PROBES = 128 };

/* FNV-1a */
static uint32_t name_hash(const char *name)
{
	uint32_t hash = 2166136261;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619;
	return hash ^ hash >> 15;
}

/* The slot that has @name, or the free one where it belongs; NULL: it is too far away. */
static uint32_t *name_index_slot(const struct name_index *x, const char *name, name_at_fn *name_at,
				 const void *owner)
{
	const size_t hash = name_hash(name);

	for (size_t i = 0; i < MAX_PROBES; i++) {
		uint32_t *slot = &x->slots[(hash + i) & (x->size - 1)];

		if (!*slot || !strcmp(name_at(owner, *slot - 1), name))
			return slot;
	}
	return NULL;
}

bool name_index_init(struct name_index *x, uint32_t num, name_at_fn *name_at, const void *owner)
{
	x->size = MIN_SIZE;
	while (x->size < (size_t)num * SLOTS_PER_NAME)
		x->size *= 2;
	x->slots = calloc(x->size, sizeof(*x->slots));
	if (!x->slots) {
		x->size = 0;
		return false;
	}
	for (uint32_t i = 0; i < num; i++) {
		const char *name = name_at(owner, i);
		uint32_t *slot = name ? name_index_slot(x, name, name_at, owner) : NULL;

		if (slot && !*slot)
			*slot = i + 1;
	}
	return true;
}

void name_index_deinit(struct name_index *x)
{
	free(x->slots);
	*x = (struct name_index){ 0 };
}

uint32_t name_index_find(const struct name_index *x, const char *name, name_at_fn *name_at,
			 const void *owner)
{
	const uint32_t *slot = x->size ? name_index_slot(x, name, name_at, owner) : NULL;

	return slot && *slot ? *slot - 1 : NAME_INDEX_NONE;
}
