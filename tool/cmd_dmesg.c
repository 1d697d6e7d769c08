/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "confine.h"
#include "json.h"
#include "tool.h"

static void print_record(void *arg, const struct gdump_log_record *r)
{
	const struct arguments *args = arg;
	int indent = printf("[%5" PRIu64 ".%06" PRIu64 "] ", r->time_ns / 1000000000,
			    r->time_ns % 1000000000 / 1000);
	char who[24];

	if (args->callers) {
		snprintf(who, sizeof(who), "%c%u", r->caller >> 31 ? 'C' : 'T',
			 r->caller & INT32_MAX);
		indent += printf("[%6s] ", who);
	}
	for (size_t i = 0; i < r->len; i++) {
		if (r->text[i] == '\n')
			printf("\n%*s", indent, "");
		else
			print_escaped(&r->text[i], 1);
	}
	putchar('\n');
}

static void print_json_record(void *arg, const struct gdump_log_record *r)
{
	const int64_t number = r->caller & INT32_MAX;
	const bool is_cpu = r->caller >> 31;

	(void)arg;
	json_line(stdout, "record", json_pack(
		"{s:o, s:f, s:i, s:i, s:o, s:o, s:o}", "seq", json_count(r->seq),
		"seconds", (double)r->time_ns / 1e9, "level", (int)r->level,
		"facility", (int)r->facility, "thread", json_index(is_cpu ? -1 : number),
		"cpu", json_index(is_cpu ? number : -1), "text", json_text(r->text, r->len)));
}

struct gdump_error *dmesg_print(struct gdump *g, const struct arguments *args)
{
	return gdump_log(g, args->json ? print_json_record : print_record, (void *)(uintptr_t)args);
}

int cmd_dmesg(struct arguments *args)
{
	struct gdump_error *err;
	struct gdump *g;

	take_parts(args);
	confine(args, args->words, args->num_words, NULL);
	err = gdump_open(args->words[0], &args->open, &g);
	if (err)
		return fail(err);
	err = dmesg_print(g, args);
	gdump_close(g);
	return finish_stdout(err ? fail(err) : EXIT_DONE);
}
