/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plan.h - for people and programs: which pages are kept, and why the others are not
 */
#pragma once

#include <guestdump.h>
#include <jansson.h>

/* One line on standard error, in the style of the progress: what a dump of level @level
 * keeps.  Warnings go there as well.
 */
void say_plan(const struct gdump *g, const struct gdump_plan *plan, unsigned int level);
/* A line for each kind on standard output. */
void print_kinds(const struct gdump *g, const struct gdump_plan *plan);
/* An object with "pages" and "bytes" for each kind. */
json_t *json_kinds(const struct gdump *g, const struct gdump_plan *plan);
