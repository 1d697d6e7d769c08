/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confine.h"
#include "json.h"
#include "progress.h"
#include "tool.h"

enum { MAX_PRINTED = 16 };

static json_t *json_damaged(const struct gdump_result *r)
{
	json_t *a = json_array();

	for (size_t i = 0; i < r->num_damaged; i++)
		json_array_append_new(a, json_pack("{s:I, s:I}", "start",
						   (json_int_t)r->damaged[i].start, "size",
						   (json_int_t)r->damaged[i].size));
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

static void print_json_verdict(const char *path, const struct gdump_result *r,
			       const struct gdump_info *info, const struct gdump_error *err)
{
	json_t *o = json_pack("{s:o, s:b, s:o}", "input", json_string_of(path), "ok", !err, "error",
			      json_string_of(err ? gdump_error_message(err) : NULL));

	if (info)
		json_object_update_new(o, json_pack(
			"{s:b, s:b, s:I, s:I, s:I, s:I, s:I}", "incomplete", info->incomplete,
			"checksum", r->has_checksum,
			"pages", (json_int_t)r->pages, "zero", (json_int_t)r->zero,
			"broken", (json_int_t)r->unreadable, "excluded", (json_int_t)info->num_excluded,
			"page_size", (json_int_t)info->page_size));
	if (info)
		json_object_update_new(o, json_pack("{s:o, s:b}", "damaged", json_damaged(r),
						    "tables_damaged", r->tables_damaged));
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static void print_verdict(const char *path, const struct gdump_result *r,
			  const struct gdump_info *info)
{
	print_name(path);
	printf(": %s: %" PRIu64 " pages (%" PRIu64 " zero), ", info->incomplete ? "incomplete" : "OK",
	       r->pages, r->zero);
	if (info->num_excluded)
		printf("%" PRIu64 " omitted, ", info->num_excluded);
	else
		printf("none omitted, ");
	printf("%s\n", r->has_checksum ? "checksum valid" : "no checksum");
}

static int verify_opened(const struct arguments *args, const char *path, struct gdump *g)
{
	const struct gdump_info *info = gdump_info(g);
	struct gdump_result result = { .size = sizeof(result) };
	struct gdump_write_options opt = args->write;
	struct gdump_error *err;

	opt.result = &result;
	progress_start(args->progress, path, info->page_size);
	err = gdump_verify(g, &opt);
	progress_end();
	if (args->json)
		print_json_verdict(path, &result, info, err);
	else if (err)
		print_damaged(path, &result);
	else
		print_verdict(path, &result, info);
	gdump_result_deinit(&result);
	if (err)
		return fail(err);
	return info->incomplete || info->num_lost_cpus ? EXIT_INCOMPLETE : EXIT_DONE;
}

enum { IS_PART = -1 };

/* A dump, of one file or several; IS_PART if it must be more files. */
static int verify_files(const struct arguments *args, char **files, int num, bool more)
{
	struct gdump_open_options opt = args->open;
	const char *path = files[0];
	struct gdump_error *err;
	struct gdump *g;
	int status;

	opt.parts = (const char *const *)files + 1;
	opt.num_parts = (size_t)num - 1;
	progress_start(args->progress, path, 1);
	err = gdump_open(path, &opt, &g);
	progress_end();
	if (more && err && gdump_error_code(err) == GDUMP_ERR_PART) {
		gdump_error_destroy(err);
		return IS_PART;
	}
	if (err) {
		if (args->json)
			print_json_verdict(path, NULL, NULL, err);
		return fail(err);
	}
	status = verify_opened(args, path, g);
	gdump_close(g);
	return status;
}

int cmd_verify(struct arguments *args)
{
	char **const files = args->words;
	const int num = args->num_words;
	int worst = EXIT_DONE;

	confine(args, files, num, NULL);
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
