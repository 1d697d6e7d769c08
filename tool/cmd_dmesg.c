/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <inttypes.h>
#include <jansson.h>
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
	json_t *o;

	(void)arg;
	o = json_pack("{s:I, s:f, s:i, s:i, s:I, s:o}", "seq", (json_int_t)r->seq,
		      "time", (double)r->time_ns / 1e9, "level", (int)r->level,
		      "facility", (int)r->facility, "caller", (json_int_t)r->caller, "text",
		      json_text(r->text, r->len));
	json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(13));
	putchar('\n');
	json_decref(o);
}

int cmd_dmesg(struct arguments *args)
{
	struct gdump_error *err;
	struct gdump *g;

	confine(args, args->words, 1, NULL);
	err = gdump_open(args->words[0], &args->open, &g);
	if (err)
		return fail(err);
	err = gdump_log(g, args->json ? print_json_record : print_record, args);
	gdump_close(g);
	return finish_stdout(err ? fail(err) : EXIT_DONE);
}
