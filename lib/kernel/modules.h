/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * modules.h - the loaded modules of the guest's kernel, and their symbols
 */
#pragma once

#include "kernel.h"

enum { MODULE_NAME = 64, MODULE_TEXTS = 2 };

struct module {
	uint64_t vaddr;                 /* of its struct module                 */
	char name[MODULE_NAME];         /* may contain anything                 */
	/* code; that of initialization is freed once the module runs, size 0 */
	struct { uint64_t start, size; } text[MODULE_TEXTS];
	struct symtab symbols;          /* functions                            */
	struct symtab variables;
};

struct modules {
	struct module *list;
	size_t num;
	bool incomplete;                /* there may be others                  */
	uint64_t budget;                /* bytes of symbols that may yet be read */
};

/* Read them; what is damaged is left out.  Only GDUMP_ERR_NOMEM is an error.  The caller frees
 * @ret with modules_deinit().
 */
MUST_CHECK struct gdump_error *modules_read(struct kernel *k, struct modules *ret);
void modules_deinit(struct modules *m);

/* The module whose code contains @vaddr, and the end of that code; NULL: none does. */
const struct module *modules_at(const struct modules *m, uint64_t vaddr, uint64_t *end);
/* The module that has a variable at exactly @vaddr, and its name, which belongs to the module;
 * NULL: none has.
 */
const struct module *modules_variable_at(const struct modules *m, uint64_t vaddr, const char **name);
/* Read the types that a module has with it, whose base is @k's; false: it has none.  The caller
 * frees @ret with btf_deinit().
 */
bool module_read_types(struct kernel *k, const struct module *m, struct btf *ret);
