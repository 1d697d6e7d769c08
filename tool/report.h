/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report.h - the forms in which a report is printed
 *
 * Each takes the tree of gdump_report().  A section that has no function of its own is printed
 * like any other: groups as lines of names and values, lists of groups as tables.
 */
#pragma once

#include <guestdump.h>

/* For people; @wanted: the names of sections, or NULL for all */
void report_print_text(const struct gdump_fact *report, const char *where, const char *wanted);
/* As an object of type "report" */
void report_print_json(const struct gdump_fact *report, const char *where, const char *wanted);
/* Whether @name is one of @wanted, names with commas between them; NULL: all are wanted. */
bool report_wants(const char *wanted, const char *name);
