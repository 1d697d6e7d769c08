/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kallsyms.h - the symbols of the guest's kernel, without its modules
 *
 * They come from the table by which the kernel names functions in its messages; with
 * CONFIG_KALLSYMS_ALL it has variables as well.  VMCOREINFO has its address since Linux 6.0.
 */
#pragma once

#include "../machine/walker.h"
#include "symtab.h"

/* Read all of them.  GDUMP_ERR_UNSUPPORTED: there is no table, or its form is unknown.  The
 * caller frees @ret with symtab_deinit(); it is empty after an error.
 */
MUST_CHECK struct gdump_error *kallsyms_read(struct walker *w, struct symtab *ret);
