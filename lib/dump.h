/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * dump.h - the object behind struct gdump
 */
#pragma once

#include "machine/source.h"

struct gdump {
	struct source *source;
	struct gdump_info info;
	char *where;
	bool of_one_moment;             /* a guest that was paused when it was opened */
	struct gdump_metadata metadata;
	char *metadata_text;            /* has its strings                      */
};

/* Check and copy the options of gdump_open(). */
MUST_CHECK struct gdump_error *open_options_take(struct gdump_open_options *to,
						 const struct gdump_open_options *from);
/* Make an image of a source that has just been opened.  Owns @source from now on, also on error. */
MUST_CHECK struct gdump_error *gdump_open_source(const char *where, struct source *source,
						 const struct gdump_open_options *opt,
						 struct gdump **ret);
/* Check that @plan (NULL: all pages) was made for @g. */
MUST_CHECK struct gdump_error *write_plan_check(const struct gdump *g,
						const struct gdump_plan *plan);
/* Give the caller as much of a result as its struct has room for, and free the rest. */
void write_result(struct gdump_result *to, const struct gdump_result *result);
