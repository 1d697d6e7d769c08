/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report.h - the forms in which a report is printed
 *
 * Each takes the tree of gdump_report().  A section that has no function of its own is printed
 * like any other: groups as lines of names and values, lists of groups as tables.
 */
#pragma once

#include <stdio.h>

#include <guestdump.h>

/* For people; @wanted: the names of sections, or NULL for all */
void report_print_text(const struct gdump_fact *report, const char *where, const char *wanted);
/* As an object of type "report" */
void report_print_json(const struct gdump_fact *report, const char *where, const char *wanted);
/* As a page for a browser */
void report_print_html(FILE *out, const struct gdump_fact *report, const char *where,
		       const char *wanted);

/* What these have in common */

/* The fact of that name directly below, or NULL; also below NULL */
const struct gdump_fact *report_fact(const struct gdump_fact *above, const char *name);
/* The text of that fact, or "?" */
const char *report_text(const struct gdump_fact *above, const char *name);
/* Whether it has one value, and nothing below it */
bool report_is_scalar(const struct gdump_fact *f);
/* Whether a list is of groups of scalars */
bool report_is_table(const struct gdump_fact *list);
/* A number with its unit, for people */
void report_format_number(const struct gdump_fact *f, char *buf, size_t size);
/* What people call a section; NULL: its form needs no heading. */
const char *report_heading(const char *section);
/* Whether @name is one of @wanted, names with commas between them; NULL: all are wanted. */
bool report_wants(const char *wanted, const char *name);

/* The section "map": cells of memory, each with the bytes of each kind of page */
enum { REPORT_MAP_COLUMNS = 64 };

struct report_map_kind {
	const char *name, *heading;     /* for programs, for people             */
	char letter;
	const char *colour;
};
/* In the order in which they are shown; the last one has no name. */
extern const struct report_map_kind report_map_kinds[];

/* The bytes of that kind in a cell, or in the sum */
uint64_t report_map_bytes(const struct gdump_fact *cell, const struct report_map_kind *kind);

/* Where a cell is; all zero before the first one */
struct report_map_place {
	unsigned int row, column;       /* from 1 on                            */
	uint64_t paddr, next;
};
/* Go on to the next cell, of @size bytes; whether a row begins with it: as the last one is full, or
 * memory has a hole.
 */
bool report_map_row_begins(const struct gdump_fact *cell, uint64_t size, struct report_map_place *at);
void report_print_map(const struct gdump_fact *map);
