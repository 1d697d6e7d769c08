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
/* Send @word to the job @id in @dir. Returns its answer, or NULL if there is none; then @gone is
 * whether the process has vanished.
 */
json_t *jobs_ask(const char *dir, long id, const char *word, bool *gone);

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
