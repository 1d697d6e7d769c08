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

#include "jobs.h"

enum { END_MS = 60000, TICK_MS = 100 };

static const char *text_of(const json_t *job, const char *key)
{
	const char *s = json_string_value(json_object_get(job, key));

	return s ? s : "";
}

static uint64_t number_of(const json_t *job, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(job, key));
}

static bool print_job(void *arg, const char *dir, const json_t *job)
{
	const uint64_t done = number_of(job, "done"), total = number_of(job, "total");

	(void)arg, (void)dir;
	printf("%" PRIu64 "  %s", number_of(job, "id"), text_of(job, "state"));
	if (total)
		printf("  %d%% of %s", (int)(100 * (double)done / (double)total),
		       size_text(total).text);
	fputs("  ", stdout);
	print_escaped(text_of(job, "guest"), strlen(text_of(job, "guest")));
	fputs(" to ", stdout);
	print_escaped(text_of(job, "output"), strlen(text_of(job, "output")));
	if (*text_of(job, "error")) {
		fputs("\n        ", stdout);
		print_escaped(text_of(job, "error"), strlen(text_of(job, "error")));
	}
	putchar('\n');
	return true;
}

static bool add_job(void *arg, const char *dir, const json_t *job)
{
	(void)dir;
	json_array_append_new(arg, json_deep_copy(job));
	return true;
}

static int print_json_jobs(void)
{
	json_t *all = json_array();

	jobs_each(add_job, all);
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
	return finish_stdout(EXIT_DONE);
}

int cmd_jobs(struct arguments *args)
{
	if (args->json)
		return print_json_jobs();
	jobs_each(print_job, NULL);
	return finish_stdout(EXIT_DONE);
}

struct search {
	long id;
	char *dir;
	json_t *job;
};

static bool find_job(void *arg, const char *dir, const json_t *job)
{
	struct search *s = arg;

	if ((long)number_of(job, "id") != s->id)
		return true;
	s->dir = strdup(dir);
	s->job = json_deep_copy(job);
	return false;
}

static void search_again(struct search *s)
{
	free(s->dir);
	json_decref(s->job);
	s->dir = NULL;
	s->job = NULL;
	jobs_each(find_job, s);
}

static bool is_active(const struct search *s)
{
	return s->dir && s->job && !strcmp(text_of(s->job, "state"), "active");
}

/* Ask it to stop, and wait until it has. */
static int cancel_job(struct search *s)
{
	bool gone;

	search_again(s);
	if (!is_active(s)) {
		say(s->job ? "job %ld has already ended" : "there is no job %ld", s->id);
		return EXIT_FAILED;
	}
	json_decref(jobs_ask(s->dir, s->id, "cancel", &gone));
	for (int ms = 0; is_active(s) && ms < END_MS && !canceled(NULL); ms += TICK_MS) {
		poll(NULL, 0, TICK_MS);
		search_again(s);
	}
	if (is_active(s))
		say("job %ld has not ended yet", s->id);
	else if (s->job && !strcmp(text_of(s->job, "state"), "completed"))
		say("job %ld was completed before it could be canceled", s->id);
	else
		return EXIT_DONE;
	return EXIT_FAILED;
}

int cmd_cancel(struct arguments *args)
{
	struct search s = { 0 };
	int status;

	if (!parse_number(args->words[0], 1, INT32_MAX, &s.id))
		return usage_error(args->command,
				   "'%s' is not the number of a job; guestdump jobs lists them",
				   args->words[0]);
	status = cancel_job(&s);
	free(s.dir);
	json_decref(s.job);
	return status;
}
