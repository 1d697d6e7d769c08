/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * jobs.h - dumps that run on by themselves, and how others find them
 *
 * Each has a name, its process id, and in $XDG_RUNTIME_DIR/guestdump, or /run/guestdump
 * where that is not set, two files that only its user may touch:
 *
 *     ID.json     what it is; rewritten when it ends, and then there for a day
 *     ID.sock     as long as it runs: a line "query" or "cancel" is answered with what
 *                 ID.json has, and how far it is
 *
 * A process that was killed leaves a socket that nobody answers: jobs_next() then calls
 * the job failed and removes that.
 */
#pragma once

#include <jansson.h>

#include "tool.h"

/* Where a process may keep its job, made if need be, for free().  NULL: an error was said. */
char *jobs_dir(void);

/* One file of a job; @suffix "json" or "sock", for free() */
char *jobs_path(const char *dir, long id, const char *suffix);
/* Write ID.json, so that others see the old one or the new one; an errno */
int jobs_write(const char *dir, long id, const json_t *job);

/* Call @fn with each job that there is, until it returns false. */
typedef bool jobs_fn(void *arg, const char *dir, const json_t *job);
void jobs_each(jobs_fn *fn, void *arg);
/* Say @word to the job @id in @dir and get its answer; NULL: it does not answer, and @gone
 * tells that nobody is there.
 */
json_t *jobs_ask(const char *dir, long id, const char *word, bool *gone);

/* --- the process that has become a job --- */

/* Fork.  -1 in the child, which goes on as a job; in the parent, when the child has begun
 * or failed to, what to exit with.
 */
int detach_start(const char *from, const char *to);
/* As gdump_write(), while the job can be asked and canceled. */
struct gdump_error *detach_write(struct gdump *g, const struct gdump_plan *plan, const char *to,
				 const struct gdump_write_options *opt);
/* The job ends with this exit status. */
void detach_end(int status);
