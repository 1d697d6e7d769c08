/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cmd_report.c - guestdump report
 */
#include <string.h>

#include "confine.h"
#include "report.h"
#include "tool.h"

bool report_wants(const char *wanted, const char *name)
{
	const size_t len = strlen(name);

	if (!wanted || !strcmp(name, "problems"))
		return true;
	for (const char *p = wanted; *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ',')) {
		if (strcspn(p, ",") == len && !strncmp(p, name, len))
			return true;
	}
	return false;
}

/* Read the report, and let the guest run again. */
static struct gdump_error *read_report(const struct arguments *args, void *to)
{
	const struct gdump_fact **ret = to;
	struct gdump_error *err, *failed;
	struct gdump *g;

	err = gdump_open(args->words[0], &args->open, &g);
	if (err)
		return err;
	err = gdump_report(g, &args->report, ret);
	failed = gdump_resume(g);
	gdump_close(g);
	if (!err)
		return failed;
	gdump_error_destroy(failed);
	return err;
}

int cmd_report(struct arguments *args)
{
	const struct gdump_fact *report = NULL;
	struct gdump_error *err;

	confine(args, args->words, 1, NULL);
	args->report.timeout_ms = args->open.timeout_ms;
	args->report.tables = tables_before_pause(args);
	err = guarded(args, read_report, &report);
	gdump_tables_destroy(args->report.tables);
	if (report)
		(args->json ? report_print_json : report_print_text)(report, args->words[0],
								     args->sections);
	gdump_fact_destroy(report);
	return finish_stdout(err ? fail(err) : EXIT_DONE);
}
