/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * plan.h - reports on a plan: which pages are kept, and why the others are omitted
 */
#pragma once

#include <guestdump.h>
#include <jansson.h>

/* Print to standard error, in the style of the progress, which pages a dump of @level keeps, and
 * the warning of @plan, if there is one.
 */
void say_plan(const struct gdump *g, const struct gdump_plan *plan, unsigned int level);
/* Whether @level asks for kinds of pages to be omitted, and none could be recognized. */
bool plan_is_unfiltered(const struct gdump_plan *plan, unsigned int level);
/* Print a line for each kind of page to standard output. */
void print_kinds(const struct gdump *g, const struct gdump_plan *plan);
/* The members "page_kinds", with "pages" and "bytes" for each kind, and "page_kinds_warning", why
 * the kinds are unknown, or null
 */
json_t *json_page_kinds(const struct gdump *g, const struct gdump_plan *plan);
