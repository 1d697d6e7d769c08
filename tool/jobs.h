/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * jobs.h - dumps in the background, and how other processes find them
 *
 * A job is named by its process id. It has two files, which only its user can access, in
 * $XDG_RUNTIME_DIR/guestdump, or in /run/guestdump if that variable is not set:
 *
 *     ID.json     its description; rewritten when the job ends, and kept for a day then
 *     ID.sock     while it runs: a line "query" or "cancel" is answered with the description
 *                 and the progress
 *
 * The description is the object of a job in guestdump-json(5), with the version of its form: those
 * of other versions of guestdump are ignored.
 *
 * A job that was killed leaves a socket without a server: jobs_each() then marks the job as
 * failed and removes the socket.
 */
#pragma once

#include <jansson.h>

#include "tool.h"

/* The directory for the job of this process, created if necessary, to be freed. NULL: failed,
 * and an error message was printed.
 */
char *jobs_dir(void);

/* The path of a file of a job, to be freed; @suffix is "json" or "sock". */
char *jobs_path(const char *dir, long id, const char *suffix);
/* Replace ID.json atomically. Returns an errno, or 0. */
int jobs_write(const char *dir, long id, const json_t *job);

/* Call @fn for each job until it returns false. */
typedef bool jobs_fn(void *arg, const char *dir, const json_t *job);
void jobs_each(jobs_fn *fn, void *arg);
/* The job @id, which is released by json_decref(), and its directory, which is to be freed. NULL:
 * there is no such job.
 */
json_t *jobs_find(long id, char **dir);
bool job_is_active(const json_t *job);
/* A member of a job; "" or 0 if it is null */
const char *job_text(const json_t *job, const char *key);
uint64_t job_number(const json_t *job, const char *key);
/* Send @word to the job @id in @dir. Returns its answer, or NULL if there is none; then @gone is
 * whether the process has vanished.
 */
json_t *jobs_ask(const char *dir, long id, const char *word, bool *gone);

/* --- job_watch.c --- */

/* Follow the job @id until it ends: show its progress, or with @json print its events on standard
 * output. Returns its exit status.
 */
int job_watch(long id, bool json);

/* --- cmd_jobs.c --- */

/* Print a job for people. */
void job_print(const json_t *job);

/* --- detach.c: the process that has become a job --- */

/* Fork. Returns -1 in the child, which becomes the job, and the exit status in the parent, once
 * the child has begun to write or has failed.
 */
int detach_start(const char *from, const char *to);
/* Like gdump_write(), while other processes can query and cancel the job. */
struct gdump_error *detach_write(struct gdump *g, const struct gdump_plan *plan, const char *to,
				 const struct gdump_write_options *opt);
/* Record that the job ends with this exit status. */
void detach_end(int status);
