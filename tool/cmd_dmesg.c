/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "confine.h"
#include "json.h"
#include "options.h"
#include "tool.h"

struct style {
	bool json, callers;
};

static void print_text(void *arg, const struct gdump_log_record *r)
{
	const struct style *style = arg;
	int indent = printf("[%5llu.%06llu] ", (unsigned long long)(r->time_ns / 1000000000),
			    (unsigned long long)(r->time_ns % 1000000000 / 1000));
	char who[24];

	if (style->callers) {
		snprintf(who, sizeof(who), "%c%u", r->caller >> 31 ? 'C' : 'T', r->caller & INT32_MAX);
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

static void print_json(void *arg, const struct gdump_log_record *r)
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

static int dmesg(const char *where, struct input *in, const struct style *style)
{
	struct gdump_open_options opt = {
		.size = sizeof(opt), .warn = say_warning, .cancel = canceled,
	};
	struct gdump_error *err;
	struct gdump *g;

	input_apply(in, &opt);
	err = gdump_open(where, &opt, &g);
	if (err)
		return fail(err);
	err = gdump_log(g, style->json ? print_json : print_text, (void *)(uintptr_t)style);
	gdump_close(g);
	return finish_stdout(err ? fail(err) : EXIT_DONE);
}

static int cmd_dmesg(const struct command *cmd, int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "json",    no_argument, NULL, 'J' },
		{ "callers", no_argument, NULL, 'c' },
		INPUT_OPTIONS,
		{ "help",    no_argument, NULL, 'h' },
		{ 0 },
	};
	struct style style = { 0 };
	struct input in = { 0 };
	bool good;
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "h" INPUT_SHORT, long_options, NULL)) != -1) {
		switch (opt) {
		case 'h':
			print_help(cmd);
			return finish_stdout(EXIT_DONE);
		case 'J':
			style.json = true;
			break;
		case 'c':
			style.callers = true;
			break;
		default:
			if (input_take(&in, opt, optarg, &good) && good)
				break;
			return usage_error(cmd, "'%s': unknown option, or its value is wrong or missing",
					   argv[optind - 1]);
		}
	}
	if (argc - optind != 1)
		return usage_error(cmd, "say which dump or guest");
	confine(&in, argv[optind], NULL, 0, NULL);
	return dmesg(argv[optind], &in, &style);
}

const struct command command_dmesg = {
	.name = "dmesg",
	.usage = "dmesg [--json] [--callers] INPUT|GUEST",
	.summary = "Print the log of the guest's kernel; no vmlinux is needed",
	.help = "      --json                one line of JSON for each record\n"
		"      --callers             show which thread or CPU said it\n"
		INPUT_HELP,
	.run = cmd_dmesg,
};
