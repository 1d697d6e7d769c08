/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cmd_jobs.c - jobs and cancel: dumps in the background
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "jobs.h"
#include "json.h"

enum { END_MS = 60000, TICK_MS = 100 };

static void print_heading(void)
{
	printf("%-9s %-10s %-18s %-10s %-11s %s\n", "ID", "STATE", "DONE", "PAUSE", "SIZE", "DUMP");
}

static void print_line_below(const char *what, const char *text)
{
	if (!text)
		return;
	printf("%-9s %s: ", "", what);
	print_escaped(text, strlen(text));
	putchar('\n');
}

/* "12% of 512.0 MiB", in 18 columns */
static void print_done(const json_t *job)
{
	const uint64_t done = job_number(job, "done"), total = job_number(job, "total");
	char text[64] = "-";

	if (total)
		snprintf(text, sizeof(text), "%d%% of %s", (int)(100 * (double)done / (double)total),
			 size_text(total).text);
	printf(" %-18s", text);
}

static void print_pause_and_size(const json_t *job)
{
	const json_t *pause = json_object_get(job, "paused_seconds");
	const json_t *result = json_object_get(job, "result");
	char text[32] = "-";

	if (json_is_number(pause))
		snprintf(text, sizeof(text), "%.0f ms", 1e3 * json_number_value(pause));
	printf(" %-10s %-11s", text, json_is_object(result) ?
	       size_text(job_number(result, "bytes")).text : "-");
}

void job_print(const json_t *job)
{
	const json_t *error = json_object_get(job, "error"), *warning;
	size_t i;

	printf("%-9" PRIu64 " %-10s", job_number(job, "id"), job_text(job, "state"));
	print_done(job);
	print_pause_and_size(job);
	putchar(' ');
	print_escaped(job_text(job, "input"), strlen(job_text(job, "input")));
	fputs(" to ", stdout);
	print_escaped(job_text(job, "output"), strlen(job_text(job, "output")));
	putchar('\n');
	json_array_foreach(json_object_get(job, "warnings"), i, warning)
		print_line_below("warning", json_string_value(warning));
	if (json_is_object(error))
		print_line_below("error", job_text(error, "message"));
}

static bool print_row(void *arg, const char *dir, const json_t *job)
{
	bool *heading = arg;

	(void)dir;
	if (!*heading)
		print_heading();
	*heading = true;
	job_print(job);
	return true;
}

static bool add_job(void *arg, const char *dir, const json_t *job)
{
	json_t *copy = json_deep_copy(job);

	(void)dir;
	json_object_del(copy, "schema");
	json_array_append_new(arg, copy);
	return true;
}

static void print_json_jobs(void)
{
	json_t *all = json_array();

	jobs_each(add_job, all);
	json_line(stdout, "jobs", json_pack("{s:o}", "jobs", all));
}

int cmd_jobs(struct arguments *args)
{
	bool heading = false;

	if (args->watch)
		return finish_stdout(job_watch(args->watch, args->json));
	if (args->json)
		print_json_jobs();
	else
		jobs_each(print_row, &heading);
	return finish_stdout(EXIT_DONE);
}

/* Wait until @job has ended. Returns what it is then; NULL: there is no such job any more. */
static json_t *wait_for_end(json_t *job, long id)
{
	for (int ms = 0; job && job_is_active(job) && ms < END_MS && !canceled(NULL); ms += TICK_MS) {
		char *dir;

		poll(NULL, 0, TICK_MS);
		json_decref(job);
		job = jobs_find(id, &dir);
		free(dir);
	}
	return job;
}

static int cancel_job(const struct arguments *args, const char *dir, json_t *job, long id)
{
	int status = EXIT_DONE;
	bool gone;

	json_decref(jobs_ask(dir, id, "cancel", &gone));
	job = wait_for_end(job, id);
	if (job && job_is_active(job))
		status = failed(FAILURE_JOB_RUNS, 0, "job %ld has not ended yet", id);
	else if (job && !strcmp(job_text(job, "state"), "completed"))
		status = failed(FAILURE_JOB_ENDED, 0, "job %ld was completed before it could be canceled", id);
	else if (job && args->json)
		json_line(stdout, "job", json_incref(job));
	json_decref(job);
	return status;
}

int cmd_cancel(struct arguments *args)
{
	char *dir;
	json_t *job;
	int status;
	long id;

	if (!parse_number(args->words[0], 1, INT32_MAX, &id))
		return finish_stdout(usage_error(args->command,
						 "'%s' is not the number of a job; guestdump jobs lists them",
						 args->words[0]));
	job = jobs_find(id, &dir);
	if (job && job_is_active(job))
		status = cancel_job(args, dir, json_incref(job), id);
	else if (job)
		status = failed(FAILURE_JOB_ENDED, 0, "job %ld has already ended", id);
	else
		status = failed(FAILURE_NO_JOB, 0, "there is no job %ld", id);
	json_decref(job);
	free(dir);
	return finish_stdout(status);
}
