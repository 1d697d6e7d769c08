/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * failure.h - why a command fails: a stable name, an exit status, a message
 *
 * failure.c has the table of the names; guestdump-json(5) and guestdump-1.schema.json repeat it.
 */
#pragma once

#include <jansson.h>

#include <guestdump.h>

enum failure_kind {
	FAILURE_USAGE,
	FAILURE_NO_MEMORY,
	FAILURE_SYSTEM,                 /* a system call failed: see errnum     */
	FAILURE_NOT_FOUND,
	FAILURE_EXISTS,
	FAILURE_NO_PERMISSION,
	FAILURE_NO_SPACE,
	FAILURE_UNKNOWN_FORMAT,
	FAILURE_CORRUPT,
	FAILURE_UNSUPPORTED,
	FAILURE_NO_DATA,
	FAILURE_MISSING_PARTS,
	FAILURE_NO_KEY,
	FAILURE_PROTECTED,
	FAILURE_HYPERVISOR,
	FAILURE_CANCELED,
	FAILURE_CPU_TIME,
	FAILURE_KILLED,                 /* the process of a job                 */
	FAILURE_NO_JOB,
	FAILURE_JOB_ENDED,
	FAILURE_JOB_RUNS,
	FAILURE_NO_CRASH,
	FAILURE_CRASH_BUSY,             /* it is being written                  */

	NUM_FAILURES
};

struct failure {
	enum failure_kind kind;
	int errnum;                     /* of a system call; 0: none            */
	char *message;                  /* a clause; NULL: there was no memory for it */
	int status;                     /* to exit with                         */
	const char *partial;            /* what was written remains in this file, or NULL; borrowed */
	uint64_t partial_pages;         /* in it                                */
};

#define FAILURE_PRINTF(fmt, args) __attribute__((__format__(__printf__, fmt, args)))

/* Of a system call that failed */
enum failure_kind failure_kind_of_errno(int errnum);
/* Takes @err. */
struct failure failure_of(struct gdump_error *err);
struct failure failure_new(enum failure_kind kind, int errnum, const char *fmt, ...) FAILURE_PRINTF(3, 4);
void failure_deinit(struct failure *f);

/* The members that an error has, at the top or in another object */
json_t *failure_json(const struct failure *f);
/* Report it to programs: the event "error", and with @result the same object on standard output,
 * if JSON is wanted there.
 */
void failure_put(const struct failure *f, bool result);
/* Report it to people and programs. Returns its status. */
int failure_say(const struct failure *f);
/* The same; with --json, there is an object on standard output as well. Releases what @f has. */
int failure_report(struct failure *f);
/* Report a new one. Returns its status. */
int failed(enum failure_kind kind, int errnum, const char *fmt, ...) FAILURE_PRINTF(3, 4);
