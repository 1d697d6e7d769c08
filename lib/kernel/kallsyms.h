/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kallsyms.h - addresses of the guest kernel's own symbols
 *
 * They come from the table by which the kernel names functions in its messages; with
 * CONFIG_KALLSYMS_ALL it has variables as well.  VMCOREINFO has its address since Linux 6.0.
 */
#pragma once

#include "../machine/walker.h"

struct ksym {
	const char *name;
	uint64_t vaddr;                 /* 0: there is no such symbol           */
	bool seen;
	uint64_t number;                /* position in the table                */
};

/* Set .vaddr of @syms, of which the caller has set .name.  GDUMP_ERR_UNSUPPORTED: there is no
 * table, or its form is unknown; all .vaddr are 0 then.
 */
MUST_CHECK struct gdump_error *kallsyms_find(struct walker *w, struct ksym *syms, size_t num);
