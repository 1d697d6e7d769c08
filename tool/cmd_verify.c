/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confine.h"
#include "options.h"
#include "progress.h"
#include "tool.h"

struct verify {
	struct input input;
	bool json;
	enum progress_style progress;
	unsigned int threads;
};

static void print_json(const char *path, const struct gdump_result *r,
		       const struct gdump_info *info, const struct gdump_error *err)
{
	json_t *o = json_pack("{s:s, s:b, s:s?}", "input", path, "ok", !err, "error",
			      err ? gdump_error_message(err) : NULL);

	if (info)
		json_object_update_new(o, json_pack(
			"{s:b, s:b, s:I, s:I, s:I, s:I, s:I}", "incomplete", info->incomplete,
			"checksum", r->has_checksum,
			"pages", (json_int_t)r->pages, "zero", (json_int_t)r->zero,
			"broken", (json_int_t)r->unreadable, "excluded", (json_int_t)info->num_excluded,
			"page_size", (json_int_t)info->page_size));
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static int verify_opened(const struct verify *v, const char *path, struct gdump *g)
{
	const struct gdump_info *info = gdump_info(g);
	struct gdump_result result = { .size = sizeof(result) };
	const struct gdump_write_options opt = {
		.size = sizeof(opt), .threads = v->threads, .progress = progress_show,
		.result = &result,
	};
	struct gdump_error *err;

	progress_start(v->progress, path, info->page_size);
	err = gdump_verify(g, &opt);
	progress_end();
	free(result.first_error);
	if (v->json)
		print_json(path, &result, info, err);
	if (err)
		return fail(err);
	if (!v->json)
		printf("%s: %s: %llu pages are whole, %llu of them zero; %llu are not in the dump; %s\n",
		       path, info->incomplete ? "incomplete" : "good",
		       (unsigned long long)result.pages, (unsigned long long)result.zero,
		       (unsigned long long)info->num_excluded,
		       result.has_checksum ? "its checksum is right" : "it has no checksum");
	return info->incomplete || info->num_lost_cpus ? EXIT_INCOMPLETE : EXIT_DONE;
}

enum { IS_PART = -1 };

/* A dump, of one file or several; IS_PART if it must be more files. */
static int verify_files(struct verify *v, char **files, int num, bool more)
{
	struct gdump_open_options opt = input_options(files + 1, num - 1);
	const char *path = files[0];
	struct gdump_error *err;
	struct gdump *g;
	int status;

	input_apply(&v->input, &opt);
	progress_start(v->progress, path, 1);
	err = gdump_open(path, &opt, &g);
	progress_end();
	if (more && err && gdump_error_code(err) == GDUMP_ERR_PART) {
		gdump_error_destroy(err);
		return IS_PART;
	}
	if (err) {
		if (v->json)
			print_json(path, NULL, NULL, err);
		return fail(err);
	}
	status = verify_opened(v, path, g);
	gdump_close(g);
	return status;
}

static int cmd_verify(const struct command *cmd, int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "json",     no_argument,       NULL, 'J' },
		{ "threads",  required_argument, NULL, 'j' },
		{ "progress", required_argument, NULL, 'P' },
		{ "quiet",    no_argument,       NULL, 'q' },
		INPUT_OPTIONS,
		{ "help",     no_argument,       NULL, 'h' },
		{ 0 },
	};
	struct verify v = { 0 };
	int opt, worst = EXIT_DONE;
	bool good;
	long n;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "j:qh" INPUT_SHORT, long_options, NULL)) != -1) {
		if (opt == 'h') {
			print_help(cmd);
			return finish_stdout(EXIT_DONE);
		} else if (opt == 'J') {
			v.json = true;
		} else if (opt == 'q') {
			v.progress = PROGRESS_NONE;
		} else if (opt == 'j' && parse_number(optarg, 1, 256, &n)) {
			v.threads = (unsigned int)n;
		} else if (input_take(&v.input, opt, optarg, &good) && good) {
			continue;
		} else if (opt != 'P' || !progress_style_find(optarg, &v.progress)) {
			return usage_error(cmd, "'%s': unknown option, or its value is wrong or missing",
					   argv[optind - 1]);
		}
	}
	if (optind == argc)
		return usage_error(cmd, "say which dump to verify");
	confine(&v.input, argv[optind], argv + optind + 1, argc - optind - 1, NULL);
	for (int i = optind; i < argc; i++) {
		int status = verify_files(&v, argv + i, 1, argc - optind > 1);

		if (status == IS_PART)
			return finish_stdout(verify_files(&v, argv + optind, argc - optind, false));
		if (status == EXIT_CANCELED)
			return status;
		/* a broken dump is worse than one that is not all there */
		if (!worst || (worst == EXIT_INCOMPLETE && status))
			worst = status;
	}
	return finish_stdout(worst);
}

const struct command command_verify = {
	.name = "verify",
	.usage = "verify [OPTION]... INPUT...",
	.summary = "Read every byte of dumps, decompress every page, check every bound and checksum",
	.help = "The INPUTs may also be the parts of one dump; - is standard input.\n\n"
		"      --json                one line of JSON for each INPUT\n"
		"  -j, --threads N           how many threads; default: one for each CPU\n"
		"      --progress STYLE      auto, bar, plain, json or none, on standard error\n"
		"  -q, --quiet               short for --progress none\n"
		INPUT_HELP,
	.run = cmd_verify,
};
