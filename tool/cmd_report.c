/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cmd_report.c - guestdump report
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "confine.h"
#include "failure.h"
#include "report.h"
#include "store.h"
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

static struct gdump_error *read_report(struct gdump *g, const struct arguments *args, void *to)
{
	return gdump_report(g, &args->report, to);
}

/* Write the page to a new file that only its owner can read, as the report may have secrets.
 * Returns the exit status.
 */
static int write_html(const char *path, const struct gdump_fact *report, const struct arguments *args)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
	bool bad;

	if (!out)
		return failed(failure_kind_of_errno(errno), errno, "%s: cannot create: %s", path,
			      strerror(errno));
	report_print_html(out, report, shown_name(args->words[0]), args->sections);
	bad = ferror(out);
	if (!fclose(out) && !bad)
		return EXIT_DONE;
	failed(failure_kind_of_errno(errno), errno, "%s: cannot write: %s", path, strerror(errno));
	unlink(path);
	return EXIT_FAILED;
}

static int put_report(const struct gdump_fact *report, const struct arguments *args)
{
	if (args->html && strcmp(args->html, "-"))
		return write_html(args->html, report, args);
	if (args->html)
		report_print_html(stdout, report, shown_name(args->words[0]), args->sections);
	else
		(args->json ? report_print_json : report_print_text)(report, shown_name(args->words[0]),
								     args->sections);
	return EXIT_DONE;
}

int cmd_report(struct arguments *args)
{
	const struct gdump_fact *report = NULL;
	struct gdump_error *err;
	int status = EXIT_DONE;

	take_parts(args);
	confine(args, args->words, args->num_words, args->html);
	args->report.timeout_ms = args->open.timeout_ms;
	args->report.tables = tables_before_pause(args);
	err = guarded(args, read_report, &report);
	gdump_tables_destroy(args->report.tables);
	if (report)
		status = put_report(report, args);
	gdump_fact_destroy(report);
	return finish_stdout(err ? fail(err) : status);
}
