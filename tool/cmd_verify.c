/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confine.h"
#include "failure.h"
#include "json.h"
#include "progress.h"
#include "store.h"
#include "tool.h"

enum { MAX_PRINTED = 16 };

static json_t *json_damaged(const struct gdump_result *r)
{
	json_t *a = json_array();

	for (size_t i = 0; i < r->num_damaged; i++)
		json_array_append_new(a, json_pack("{s:o, s:o}", "start",
						   json_address(r->damaged[i].start), "size",
						   json_count(r->damaged[i].size)));
	return a;
}

/* The memory of a broken dump that may be wrong */
static void print_damaged(const char *path, const struct gdump_result *r)
{
	if (r->tables_damaged) {
		print_name(path);
		printf(": headers or tables are damaged: any page may be wrong\n");
	}
	for (size_t i = 0; i < r->num_damaged && i < MAX_PRINTED; i++) {
		print_name(path);
		printf(": memory 0x%" PRIx64 "-0x%" PRIx64 " may be wrong\n", r->damaged[i].start,
		       r->damaged[i].start + (r->damaged[i].size - 1));
	}
	if (r->num_damaged > MAX_PRINTED) {
		print_name(path);
		printf(": so may %zu other ranges of memory: see --json\n", r->num_damaged - MAX_PRINTED);
	}
}

/* @r and @info are NULL if @path could not be opened, @f if it is good. */
static void print_json_verdict(const char *path, const struct gdump_result *r,
			       const struct gdump_info *info, const struct failure *f, int status)
{
	json_t *o = json_pack("{s:o, s:b, s:i, s:o}", "input", json_string_of(path), "ok", !f,
			      "status", status, "error", f ? failure_json(f) : json_null());

	json_object_update_new(o, json_pack(
		"{s:o, s:o}", "incomplete", info ? json_boolean(info->incomplete) : json_null(),
		"checksum", info ? json_boolean(r->has_checksum) : json_null()));
	json_object_update_new(o, json_pack(
		"{s:o, s:o, s:o, s:o, s:o}", "pages", info ? json_count(r->pages) : json_null(),
		"zero", info ? json_count(r->zero) : json_null(),
		"unreadable", info ? json_count(r->unreadable) : json_null(),
		"omitted", info ? json_count(info->num_excluded) : json_null(),
		"page_size", info ? json_count(info->page_size) : json_null()));
	json_object_update_new(o, json_pack(
		"{s:o, s:o}", "damaged", info ? json_damaged(r) : json_null(), "tables_damaged",
		info ? json_boolean(r->tables_damaged) : json_null()));
	json_line(stdout, "verify", o);
}

static void print_verdict(const char *path, const struct gdump_result *r,
			  const struct gdump_info *info)
{
	print_name(path);
	printf(": %s: %s (%" PRIu64 " zero), ", info->incomplete ? "incomplete" : "OK",
	       pages_text(r->pages).text, r->zero);
	if (info->num_excluded)
		printf("%" PRIu64 " %s, ", info->num_excluded, info->incomplete ? "missing" : "omitted");
	else
		printf("none omitted, ");
	printf("%s\n", r->has_checksum ? "checksum valid" : "no checksum");
}

/* The verdict has the error; there is no other object for it. */
static int report_bad(const struct arguments *args, const char *path, const struct gdump_result *r,
		      const struct gdump_info *info, struct gdump_error *err)
{
	struct failure f = failure_of(err);
	const int status = failure_say(&f);

	if (args->json)
		print_json_verdict(path, r, info, &f, status);
	else if (r)
		print_damaged(path, r);
	failure_deinit(&f);
	return status;
}

static int report_good(const struct arguments *args, const char *path, const struct gdump_result *r,
		       const struct gdump_info *info)
{
	const int status = info->incomplete || info->num_lost_cpus ? EXIT_INCOMPLETE : EXIT_DONE;

	if (args->json)
		print_json_verdict(path, r, info, NULL, status);
	else
		print_verdict(path, r, info);
	return status;
}

static int verify_opened(const struct arguments *args, const char *path, struct gdump *g)
{
	const struct gdump_info *info = gdump_info(g);
	struct gdump_result result = { .size = sizeof(result) };
	struct gdump_write_options opt = args->write;
	struct gdump_error *err;
	int status;

	opt.result = &result;
	progress_start(args->progress, path, info->page_size);
	err = gdump_verify(g, &opt);
	progress_end();
	status = err ? report_bad(args, path, &result, info, err) :
		       report_good(args, path, &result, info);
	gdump_result_deinit(&result);
	return status;
}

enum { IS_PART = -1 };

/* A dump, of one file or several; IS_PART if it must be more files. */
static int verify_files(const struct arguments *args, char **files, int num, bool more)
{
	struct gdump_open_options opt = args->open;
	const char *path = shown_name(files[0]);
	struct gdump_error *err;
	struct gdump *g;
	int status;

	opt.parts = (const char *const *)files + 1;
	opt.num_parts = (size_t)num - 1;
	progress_start(args->progress, path, 1);
	err = gdump_open(files[0], &opt, &g);
	progress_end();
	if (more && err && gdump_error_code(err) == GDUMP_ERR_PART) {
		gdump_error_destroy(err);
		return IS_PART;
	}
	if (err)
		return report_bad(args, path, NULL, NULL, err);
	status = verify_opened(args, path, g);
	gdump_close(g);
	return status;
}

/* Whether the files are one dump */
static bool is_one_dump(const struct arguments *args, char **files, int num)
{
	struct gdump_open_options opt = args->open;
	struct gdump *g = NULL;
	struct gdump_error *err;

	opt.parts = (const char *const *)files + 1;
	opt.num_parts = (size_t)num - 1;
	opt.warn = NULL;
	err = gdump_open(files[0], &opt, &g);
	gdump_error_destroy(err);
	gdump_close(g);
	return !err;
}

int cmd_verify(struct arguments *args)
{
	char **const files = args->words;
	const int num = args->num_words;
	int worst = EXIT_DONE;

	if (args->nice)
		priority_lower();
	confine(args, files, num, NULL);
	if (num > 1 && is_one_dump(args, files, num))
		return finish_stdout(verify_files(args, files, num, false));
	for (int i = 0; i < num; i++) {
		int status = verify_files(args, files + i, 1, num > 1);

		if (status == IS_PART)
			return finish_stdout(verify_files(args, files, num, false));
		if (status == EXIT_CANCELED)
			return status;
		/* a broken dump is worse than an incomplete one */
		if (!worst || (worst == EXIT_INCOMPLETE && status))
			worst = status;
	}
	return finish_stdout(worst);
}
