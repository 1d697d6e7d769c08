/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "snapshots.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "store.h"

static void snapshots_add(void *arg, const struct gdump_snapshot *s)
{
	json_array_append_new(arg, json_pack(
		"{s:o, s:o, s:o, s:o}", "id", json_string_of(s->id), "name", json_string_of(s->name),
		"time", json_seconds((double)s->time_ms / 1e3), "state_size",
		json_count(s->state_size)));
}

static uint64_t snapshots_state_size(const json_t *snapshot)
{
	return (uint64_t)json_integer_value(json_object_get(snapshot, "state_size"));
}

static void snapshots_print_text(const json_t *snapshot, const char *key)
{
	const char *text = json_string_value(json_object_get(snapshot, key));

	if (text)
		print_escaped(text, strlen(text));
}

static void snapshots_print(const json_t *list, const char *where)
{
	const json_t *s;
	size_t i;

	print_name(where);
	printf(": several snapshots; choose one that has memory with --snapshot\n");
	json_array_foreach(list, i, s) {
		const uint64_t size = snapshots_state_size(s);

		printf("  ");
		print_time((uint64_t)json_real_value(json_object_get(s, "time")));
		printf("  %10s  ", size ? size_text(size).text : "only disk");
		snapshots_print_text(s, "id");
		printf("  ");
		snapshots_print_text(s, "name");
		printf("\n");
	}
}

static size_t snapshots_num_states(const json_t *list)
{
	size_t i, num = 0;
	const json_t *s;

	json_array_foreach(list, i, s)
		num += snapshots_state_size(s) != 0;
	return num;
}

bool snapshots_show(const struct arguments *args)
{
	json_t *list = json_array();
	struct gdump_error *err = gdump_snapshots(args->words[0], &args->open, snapshots_add, list);
	const bool shown = !err && snapshots_num_states(list) > 1;

	if (shown && args->json)
		json_line(stdout, "snapshots", json_pack("{s:o, s:O}", "input",
							 json_string_of(shown_name(args->words[0])),
							 "snapshots", list));
	else if (shown)
		snapshots_print(list, shown_name(args->words[0]));
	gdump_error_destroy(err);
	json_decref(list);
	return shown;
}
