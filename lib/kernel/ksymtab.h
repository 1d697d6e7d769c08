/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * ksymtab.h - what the kernel exports to modules
 *
 * Some kernels have only functions in kallsyms.  Variables that modules may use are in the table
 * of exported symbols as well.
 */
#pragma once

#include "kernel.h"

/* If the kernel's symbols have no variables, add those that it exports, as far as they are found. */
void ksymtab_add(struct kernel *k);
