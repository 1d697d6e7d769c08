/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "guest_way.h"

#include <stddef.h>
#include <stdio.h>

#include "json.h"
#include "tool.h"

/* What a way can do, and what it is called */
static const struct ability {
	const char *name;
	size_t offset;
} abilities[] = {
	{ "pause", offsetof(struct gdump_guest_way, pauses) },
	{ "registers", offsetof(struct gdump_guest_way, registers) },
	{ "direct", offsetof(struct gdump_guest_way, direct) },
	{ "live", offsetof(struct gdump_guest_way, live) },
};

enum { NUM_ABILITIES = sizeof(abilities) / sizeof(abilities[0]) };

static bool guest_way_can(const struct gdump_guest_way *way, size_t i)
{
	return *(const bool *)((const char *)way + abilities[i].offset);
}

void guest_way_print(const struct gdump_guest_way *way)
{
	const char *before = " (";

	fputs("    ", stdout);
	print_name(way->name);
	for (size_t i = 0; way->works && i < NUM_ABILITIES; i++) {
		if (guest_way_can(way, i)) {
			printf("%s%s", before, abilities[i].name);
			before = ", ";
		}
	}
	if (way->works)
		putchar(')');
	putchar('\n');
	if (!way->missing)
		return;
	printf("        %s: ", way->works ? "limited" : "does not work");
	print_name(way->missing);
	putchar('\n');
}

json_t *guest_way_json(const struct gdump_guest_way *way)
{
	json_t *o = json_pack("{s:o, s:b}", "name", json_string_of(way->name), "works", way->works);

	for (size_t i = 0; i < NUM_ABILITIES; i++)
		json_object_set_new(o, abilities[i].name, json_boolean(guest_way_can(way, i)));
	json_object_set_new(o, "missing", json_string_of(way->missing));
	return o;
}
