/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_json.c - a report as JSON: a group is an object, a list an array
 */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "report.h"
#include "stack.h"

static json_t *json_number(const struct gdump_fact *f)
{
	switch (f->unit) {
	case GDUMP_UNIT_NS:
		return json_seconds_of_us(f->number / 1000);
	case GDUMP_UNIT_MILLI:
		return json_real((double)f->number / 1000);
	default:
		return json_count(f->number);
	}
}

static json_t *json_fact(const struct gdump_fact *f);

/* A name shows the unit where the number does not. */
static void json_add_fact(json_t *o, const struct gdump_fact *f)
{
	char name[80];

	snprintf(name, sizeof(name), "%s%s", f->name,
		 f->kind == GDUMP_FACT_NUMBER && f->unit == GDUMP_UNIT_NS ? "_seconds" : "");
	json_object_set_new(o, name, json_fact(f));
}

static json_t *json_children(const struct gdump_fact *f, bool is_list)
{
	json_t *all = is_list ? json_array() : json_object();

	for (const struct gdump_fact *c = f->children; c; c = c->next) {
		if (is_list)
			json_array_append_new(all, json_fact(c));
		else
			json_add_fact(all, c);
	}
	return all;
}

static json_t *json_fact(const struct gdump_fact *f)
{
	switch (f->kind) {
	case GDUMP_FACT_GROUP:
		return json_children(f, false);
	case GDUMP_FACT_LIST:
		return json_children(f, true);
	case GDUMP_FACT_TEXT:
		return json_string_of(f->text);
	case GDUMP_FACT_FLAG:
		return json_boolean(f->number);
	case GDUMP_FACT_ADDRESS:
		return json_address(f->number);
	case GDUMP_FACT_STACK:
		return json_stack(f->stack);
	default:
		return json_number(f);
	}
}

void report_print_json(const struct gdump_fact *report, const char *where, const char *wanted)
{
	json_t *o = json_pack("{s:o}", "input", json_string_of(where));

	for (const struct gdump_fact *s = report->children; s; s = s->next) {
		if (report_wants(wanted, s->name))
			json_object_set_new(o, s->name, json_fact(s));
	}
	json_line(stdout, "report", o);
}
