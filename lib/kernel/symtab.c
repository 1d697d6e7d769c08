/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "symtab.h"

#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bisect.h"
#include "../util/bits.h"

enum { MAX_ENTRIES = 1 << 22, MAX_NAMES_LEN = 64 << 20, FIRST_NAMES = 4096 };

static bool symtab_make_room(struct symtab *t, size_t more)
{
	size_t max = t->names_max ? t->names_max : FIRST_NAMES;
	char *names;

	if (t->names_len + more <= t->names_max)
		return true;
	while (max < t->names_len + more)
		max *= 2;
	names = max <= MAX_NAMES_LEN ? realloc(t->names, max) : NULL;
	if (!names)
		return false;
	t->names = names;
	t->names_max = max;
	return true;
}

bool symtab_add(struct symtab *t, uint64_t vaddr, uint32_t number, const char *name, size_t len)
{
	if (t->num >= MAX_ENTRIES || len >= MAX_NAMES_LEN || !symtab_make_room(t, len + 1) ||
	    !ARRAY_GROW(t->entries, t->num))
		return false;
	t->entries[t->num++] = (struct symtab_entry){ .vaddr = vaddr, .number = number,
						      .name = (uint32_t)t->names_len };
	memcpy(t->names + t->names_len, name, len);
	t->names[t->names_len + len] = 0;
	t->names_len += len + 1;
	return true;
}

static int symtab_compare(const void *a, const void *b)
{
	const struct symtab_entry *x = a, *y = b;

	if (x->vaddr != y->vaddr)
		return x->vaddr > y->vaddr ? 1 : -1;
	return (x->number > y->number) - (x->number < y->number);
}

static bool symtab_is_sorted(const struct symtab *t)
{
	for (uint32_t i = 1; i < t->num; i++) {
		if (symtab_compare(&t->entries[i - 1], &t->entries[i]) > 0)
			return false;
	}
	return true;
}

static const char *symtab_name_at(const void *owner, uint32_t number)
{
	const struct symtab *t = owner;

	return t->names + t->entries[number].name;
}

bool symtab_finish(struct symtab *t)
{
	/* the kernel's own table is, as a rule */
	if (!symtab_is_sorted(t))
		qsort(t->entries, t->num, sizeof(*t->entries), symtab_compare);
	name_index_deinit(&t->index);
	return name_index_init(&t->index, t->num, symtab_name_at, t);
}

void symtab_deinit(struct symtab *t)
{
	free(t->entries);
	free(t->names);
	name_index_deinit(&t->index);
	*t = (struct symtab){ 0 };
}

bool symtab_at(const struct symtab *t, uint64_t vaddr, uint64_t end, struct symbol *ret)
{
	const size_t next = BISECT(t->num, i, t->entries[i].vaddr > vaddr);
	size_t first;

	if (!next)
		return false;
	ret->vaddr = t->entries[next - 1].vaddr;
	first = BISECT(next, i, t->entries[i].vaddr >= ret->vaddr);
	ret->name = t->names + t->entries[first].name;
	ret->size = (next < t->num ? MIN(t->entries[next].vaddr, end) : end) - ret->vaddr;
	return true;
}

bool symtab_find(const struct symtab *t, const char *name, uint64_t *ret)
{
	const uint32_t i = name_index_find(&t->index, name, symtab_name_at, t);

	if (i == NAME_INDEX_NONE)
		return false;
	*ret = t->entries[i].vaddr;
	return true;
}
