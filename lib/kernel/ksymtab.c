/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * ksymtab.c - what the kernel exports to modules
 *
 * The table is an array of structs of three 32-bit offsets, each from its own place: to the
 * symbol, to its name, and to the name of a namespace.  No symbol says where it is.  So a name
 * that is always exported is searched, then an offset that leads to that name, and then the
 * table is followed in both directions as long as its names look like names.  The part for
 * modules with a GPL license is next to the other one.
 *
 * Facts: Linux's include/linux/export-internal.h and kernel/module/internal.h.
 */
#include "ksymtab.h"

#include <ctype.h>
#include <string.h>

#include "../util/bits.h"

enum { ENTRY = 12, NAME_AT = 4, NAME = 128, MAX_PLACES = 16, MAX_ENTRIES = 100000, NEAR = 2 };

struct ksymtab {
	uint64_t places[MAX_PLACES];    /* of the name                          */
	size_t num;
	uint64_t entry;                 /* one that leads there; 0: not found   */
};

/* NUL, the name, NUL */
static const char ksymtab_known[] = "\0init_task";

static bool ksymtab_look_for_name(struct kernel *k, void *arg, uint64_t vaddr, const unsigned char *p,
				  size_t len)
{
	struct ksymtab *t = arg;
	const unsigned char *at = p;

	(void)k;
	while ((at = memmem(at, len - (size_t)(at - p), ksymtab_known, sizeof(ksymtab_known)))) {
		const uint64_t name = vaddr + (uint64_t)(at - p) + 1;

		/* the pieces overlap */
		if (!t->num || t->places[t->num - 1] != name)
			t->places[t->num++] = name;
		if (t->num == MAX_PLACES)
			return true;
		at++;
	}
	return false;
}

/* The 32-bit offset at @vaddr, from there */
static bool ksymtab_follow(struct kernel *k, uint64_t vaddr, uint64_t *ret)
{
	uint64_t off;

	if (!kernel_uint(k, vaddr, 4, &off))
		return false;
	*ret = vaddr + (uint64_t)(int64_t)(int32_t)off;
	return true;
}

/* Read an entry; false: it is none. */
static bool ksymtab_read(struct kernel *k, uint64_t entry, uint64_t *value, char *name)
{
	uint64_t at;

	if (!ksymtab_follow(k, entry, value) || !ksymtab_follow(k, entry + NAME_AT, &at) ||
	    !kernel_string(k, at, name, NAME) || !*name || strlen(name) == NAME - 1)
		return false;
	for (const char *p = name; *p; p++) {
		if (!isalnum((unsigned char)*p) && *p != '_')
			return false;
	}
	return true;
}

/* Whether there are entries before and after @entry */
static bool ksymtab_is_entry(struct kernel *k, uint64_t entry)
{
	char name[NAME];
	uint64_t value;

	for (int i = -NEAR; i <= NEAR; i++) {
		if (!ksymtab_read(k, entry + (uint64_t)(int64_t)(i * ENTRY), &value, name))
			return false;
	}
	return true;
}

static bool ksymtab_look_for_entry(struct kernel *k, void *arg, uint64_t vaddr, const unsigned char *p,
				   size_t len)
{
	struct ksymtab *t = arg;

	for (size_t i = round_up(vaddr, 4) - vaddr; i + 4 <= len; i += 4) {
		const int32_t off = (int32_t)(uint32_t)kernel_get(k, p + i, 4);
		const uint64_t target = vaddr + i + (uint64_t)(int64_t)off;

		/* they are in ascending order */
		if (target < t->places[0] || target > t->places[t->num - 1])
			continue;
		for (size_t n = 0; n < t->num; n++) {
			if (target == t->places[n] && ksymtab_is_entry(k, vaddr + i - NAME_AT)) {
				t->entry = vaddr + i - NAME_AT;
				return true;
			}
		}
	}
	return false;
}

/* Add the entries from @entry on, in steps of @step bytes; false: there is no memory. */
static bool ksymtab_walk(struct kernel *k, uint64_t entry, int64_t step)
{
	char name[NAME];
	uint64_t value, known;

	for (unsigned int i = 0; i < MAX_ENTRIES && ksymtab_read(k, entry, &value, name); i++) {
		if (!symtab_find(&k->symbols, name, &known) &&
		    !symtab_add(&k->symbols, value, k->symbols.num, name, strlen(name)))
			return false;
		entry += (uint64_t)step;
	}
	return true;
}

void ksymtab_add(struct kernel *k)
{
	const uint32_t num = k->symbols.num;
	struct ksymtab t = { .num = 0 };

	if (!num || kernel_symbol(k, ksymtab_known + 1))
		return;
	kernel_scan(k, ksymtab_look_for_name, &t);
	if (t.num)
		kernel_scan(k, ksymtab_look_for_entry, &t);
	if (t.entry && ksymtab_walk(k, t.entry, ENTRY))
		ksymtab_walk(k, t.entry - ENTRY, -ENTRY);
	if (k->symbols.num != num && !symtab_finish(&k->symbols))
		symtab_deinit(&k->symbols);
	debug_log(&k->source->debug, GDUMP_DEBUG_STEP,
		  "kallsyms has no variables; %u symbols are of the table of exported ones",
		  k->symbols.num ? k->symbols.num - num : 0);
}
