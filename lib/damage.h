/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * damage.h - what of a dump's memory may be wrong
 */
#pragma once

#include "machine/source.h"

/* For gdump_verify(): read all of @s.  The error says what is wrong, if anything is, and @result
 * what that affects.
 */
MUST_CHECK struct gdump_error *damage_find(struct source *s, const struct gdump_write_options *opt,
					   struct gdump_result *result);
/* Before a plan is made: what does not fit the checksum of a file cannot be read from now on. */
void damage_guard(struct source *s);
/* For gdump_write(): find out, without reading all pages, what must not be used.  To read that
 * fails from now on.  The checksum is compared as the file is read; with @salvage, all of it is
 * compared first, with so many threads.  If headers or tables are damaged, the image is incomplete
 * from now on, and @result says why.
 */
MUST_CHECK struct gdump_error *damage_avoid(struct source *s, bool salvage, unsigned int threads,
					    struct gdump_result *result);
