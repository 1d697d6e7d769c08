/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_map.c - the picture of memory: what each part is used for
 */
#include <inttypes.h>
#include <stdio.h>

#include "report.h"
#include "tool.h"

const struct report_map_kind report_map_kinds[] = {
	{ "free", "free", '.', "#8bc34a" },
	{ "page_cache", "page cache", 'c', "#42a5f5" },
	{ "anonymous", "anonymous", 'a', "#ab47bc" },
	{ "slab", "slab", 's', "#ffa726" },
	{ "kernel", "kernel and other", 'k', "#ef5350" },
	{ "hugetlb", "huge pages", 'h', "#26a69a" },
	{ "offline", "ballooned or offline", 'o', "#455a64" },
	{ "unknown", "unknown", '?', "#9e9e9e" },
	{ NULL, NULL, 0, NULL },
};

uint64_t report_map_bytes(const struct gdump_fact *cell, const struct report_map_kind *kind)
{
	const struct gdump_fact *f = report_fact(cell, kind->name);

	return f ? f->number : 0;
}

static char map_letter(const struct gdump_fact *cell)
{
	const struct report_map_kind *largest = report_map_kinds;

	for (const struct report_map_kind *k = report_map_kinds; k->name; k++) {
		if (report_map_bytes(cell, k) > report_map_bytes(cell, largest))
			largest = k;
	}
	return largest->letter;
}

bool report_map_row_begins(const struct gdump_fact *cell, uint64_t size, struct report_map_place *at)
{
	const struct gdump_fact *start = report_fact(cell, "start");
	const uint64_t paddr = start ? start->number : 0;
	const bool begins = !at->column || at->column == REPORT_MAP_COLUMNS || paddr != at->next;

	at->row += begins;
	at->column = begins ? 1 : at->column + 1;
	at->paddr = paddr;
	at->next = paddr + size;
	return begins;
}

void report_print_map(const struct gdump_fact *map)
{
	const struct gdump_fact *size = report_fact(map, "cell_size"), *cells = report_fact(map, "cells");
	struct report_map_place at = { 0 };

	if (!size || !cells)
		return;
	printf("  each letter is %s, and what most of it is%s:\n ", size_text(size->number).text,
	       report_fact(map, "is_sample") ? ", by a sample" : "");
	for (const struct report_map_kind *k = report_map_kinds; k->name; k++) {
		if (report_map_bytes(report_fact(map, "sum"), k))
			printf(" %c %s ", k->letter, k->heading);
	}
	for (const struct gdump_fact *c = cells->children; c; c = c->next) {
		if (report_map_row_begins(c, size->number, &at))
			printf("\n  0x%010" PRIx64 "  ", at.paddr);
		putchar(map_letter(c));
	}
	printf("\n");
}
