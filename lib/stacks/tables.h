/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * tables.h - what does not change while a guest's kernel runs: its symbols, its types, where its
 * code is, and by what its stacks are followed
 *
 * Reading it takes most of the time of a report.  So it is read of a running guest first; then the
 * guest is opened again, paused, and what was read is used for that.
 */
#pragma once

#include "stacks.h"

struct gdump_tables {
	struct kernel kernel;
	struct stacks *stacks;          /* NULL: they cannot be followed        */
	char *no_stacks;                /* why; NULL: they can                  */
	uint16_t machine;
	char *vmcoreinfo;               /* of that kernel                       */
	size_t vmcoreinfo_size;
};

/* GDUMP_ERR_UNSUPPORTED: the kernel's memory cannot be followed.  A kernel without symbols is no
 * error.
 */
MUST_CHECK struct gdump_error *tables_read(struct source *s, struct gdump_tables **ret);
/* Let them be of @s from now on.  False: there is another kernel. */
bool tables_use(struct gdump_tables *t, struct source *s);
/* Read memory until then, by clock_us(), and no longer. */
void tables_limit(struct gdump_tables *t, uint64_t deadline_us);

/* Those that the caller has, if they are of @s, else new ones, in *@own as well */
MUST_CHECK struct gdump_error *tables_choose(struct source *s, struct gdump_tables *have,
					     struct gdump_tables **own, struct gdump_tables **ret);
