/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * job_watch.c - jobs --watch: follow a dump in the background
 *
 * The job is asked what it is, time and again; its events are what has changed. So a job need not
 * wait for those who watch it, and one that has ended can be watched as well.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "failure.h"
#include "jobs.h"
#include "json.h"
#include "progress.h"

enum { TICK_MS = 200 };

struct watch {
	long id;
	bool json, started, paused;
	size_t num_warnings;            /* that were reported                   */
	uint64_t done;
};

static json_t *copy_of(const json_t *o, const char *key)
{
	return json_incref(json_object_get(o, key));
}

static void watch_start(struct watch *w, const json_t *job)
{
	if (w->started)
		return;
	w->started = true;
	if (w->json)
		json_line(stdout, "start", json_pack("{s:s, s:o, s:o, s:o, s:o}", "command", "dump",
						     "version", copy_of(job, "version"), "input",
						     copy_of(job, "input"), "output",
						     copy_of(job, "output"), "start_time",
						     copy_of(job, "start_time")));
	else
		progress_start(PROGRESS_AUTO, "job", 1);
}

static void watch_warnings(struct watch *w, const json_t *job)
{
	const json_t *warnings = json_object_get(job, "warnings");

	for (; w->num_warnings < json_array_size(warnings); w->num_warnings++) {
		json_t *text = json_array_get(warnings, w->num_warnings);

		if (w->json)
			json_line(stdout, "warning", json_pack("{s:O}", "message", text));
	}
}

static void watch_progress(struct watch *w, const json_t *job)
{
	const uint64_t done = job_number(job, "done"), total = job_number(job, "total");
	const uint64_t now = (uint64_t)time(NULL), start = job_number(job, "start_time");

	if (!total || done == w->done)
		return;
	w->done = done;
	if (w->json)
		json_line(stdout, "progress", json_pack(
			"{s:s, s:o, s:o, s:o}", "phase", "pages", "done", json_count(done), "total",
			json_count(total), "seconds", json_seconds(now > start ? (double)(now - start) : 0)));
	else
		progress_show(NULL, done, total);
}

static void watch_pause(struct watch *w, const json_t *job)
{
	if (w->paused || !json_is_number(json_object_get(job, "paused_seconds")))
		return;
	w->paused = true;
	if (w->json)
		json_line(stdout, "pause", json_pack("{s:o, s:o, s:o}", "was_running",
						     copy_of(job, "was_running"), "run_state",
						     copy_of(job, "run_state"), "paused_seconds",
						     copy_of(job, "paused_seconds")));
}

static void watch_end(const struct watch *w, const json_t *job)
{
	progress_end();
	if (!w->json)
		job_print(job);
	else if (json_is_object(json_object_get(job, "result")))
		json_line(stdout, "done", copy_of(job, "result"));
	else if (json_is_object(json_object_get(job, "error")))
		json_line(stdout, "error", copy_of(job, "error"));
}

/* Report what is new of @job. Returns whether it has ended. */
static bool watch_look(struct watch *w, const json_t *job)
{
	watch_start(w, job);
	watch_warnings(w, job);
	watch_progress(w, job);
	watch_pause(w, job);
	fflush(stdout);
	if (job_is_active(job))
		return false;
	watch_end(w, job);
	return true;
}

int job_watch(long id, bool json)
{
	struct watch w = { .id = id, .json = json };

	while (!canceled(NULL)) {
		char *dir;
		json_t *job = jobs_find(id, &dir);
		const bool ended = job && watch_look(&w, job);
		const int status = (int)job_number(job, "status");

		free(dir);
		json_decref(job);
		if (!job)
			return failed(FAILURE_NO_JOB, 0, "there is no job %ld", id);
		if (ended)
			return status;
		poll(NULL, 0, TICK_MS);
	}
	progress_end();
	return failed(FAILURE_CANCELED, 0, "canceled; job %ld keeps running", id);
}
