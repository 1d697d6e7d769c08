/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kallsyms.h - addresses of the guest kernel's own symbols
 *
 * From the table that the kernel carries to name functions in its messages; with
 * CONFIG_KALLSYMS_ALL it has variables too.  VMCOREINFO says where it is since
 * Linux 6.0.
 */
#pragma once

#include "../machine/walker.h"

struct ksym {
	const char *name;
	uint64_t vaddr;                 /* 0: there is no such symbol           */
	bool seen;
	uint64_t number;                /* in the table                         */
};

/* Find @syms, which have names only.  GDUMP_ERR_UNSUPPORTED: there is no table, or
 * not one that is understood; not one of them is found then.
 */
MUST_CHECK struct gdump_error *kallsyms_find(struct walker *w, struct ksym *syms, size_t num);
