/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * symtab.h - a table of symbols: of the kernel, or of one of its modules
 *
 * It is filled with symtab_add(), and complete after symtab_finish(); then it is constant, and
 * any number of threads may search it.
 */
#pragma once

#include "../util/name_index.h"

struct symtab_entry {
	uint64_t vaddr;
	uint32_t name;                  /* offset in names[]                    */
	uint32_t number;                /* in the kernel's own table            */
};

struct symtab {
	struct symtab_entry *entries;   /* by vaddr, then by number             */
	uint32_t num;
	char *names;                    /* each ends with a NUL                 */
	size_t names_len, names_max;
	struct name_index index;
};

/* A symbol and the bytes up to the next one with another address */
struct symbol {
	const char *name;               /* belongs to the table                 */
	uint64_t vaddr, size;
};

/* Add a symbol.  False: there is no memory, or the table would become too large. */
bool symtab_add(struct symtab *t, uint64_t vaddr, uint32_t number, const char *name, size_t len);
/* Sort and index what was added; more can be added later.  False: there is no memory. */
bool symtab_finish(struct symtab *t);
void symtab_deinit(struct symtab *t);

/* The last symbol at or below @vaddr; of several with one address the first one, as the kernel
 * prints it.  The last one of the table ends at @end.  False: there is none.
 */
bool symtab_at(const struct symtab *t, uint64_t vaddr, uint64_t end, struct symbol *ret);
/* The address of the first symbol of that name; false: there is none. */
bool symtab_find(const struct symtab *t, const char *name, uint64_t *ret);
