/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * split.h - one dump in several files
 *
 * They are called PATH-1, PATH-2 and so on, hold about the same number of pages
 * each, and appear together when all of them are complete; when something goes
 * wrong, what holds pages already is left as PATH-1.incomplete and so on.
 */
#pragma once

#include "dump.h"
#include "write/plan.h"
#include "settings.h"

enum { MAX_PARTS = 1000 };

/* Fail if one of the files could not be made. */
MUST_CHECK struct gdump_error *split_check(const char *path, unsigned int num);
MUST_CHECK struct gdump_error *split_write(struct gdump *g, const struct gdump_plan *plan,
					   const char *path, const struct settings *set,
					   const struct gdump_write_options *opt,
					   struct gdump_result *result);
