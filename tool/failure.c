/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "json.h"
#include "tool.h"

static const struct {
	const char *name;
	enum exit_status status;
} failures[NUM_FAILURES] = {
	[FAILURE_USAGE]          = { "usage",          EXIT_USAGE },
	[FAILURE_NO_MEMORY]      = { "no-memory",      EXIT_FAILED },
	[FAILURE_SYSTEM]         = { "system",         EXIT_FAILED },
	[FAILURE_NOT_FOUND]      = { "not-found",      EXIT_FAILED },
	[FAILURE_EXISTS]         = { "exists",         EXIT_FAILED },
	[FAILURE_NO_PERMISSION]  = { "no-permission",  EXIT_FAILED },
	[FAILURE_NO_SPACE]       = { "no-space",       EXIT_FAILED },
	[FAILURE_UNKNOWN_FORMAT] = { "unknown-format", EXIT_FAILED },
	[FAILURE_CORRUPT]        = { "corrupt",        EXIT_FAILED },
	[FAILURE_UNSUPPORTED]    = { "unsupported",    EXIT_FAILED },
	[FAILURE_NO_DATA]        = { "no-data",        EXIT_FAILED },
	[FAILURE_MISSING_PARTS]  = { "missing-parts",  EXIT_FAILED },
	[FAILURE_NO_KEY]         = { "no-key",         EXIT_PROTECTED },
	[FAILURE_PROTECTED]      = { "protected",      EXIT_PROTECTED },
	[FAILURE_HYPERVISOR]     = { "hypervisor",     EXIT_FAILED },
	[FAILURE_CANCELED]       = { "canceled",       EXIT_CANCELED },
	[FAILURE_CPU_TIME]       = { "cpu-time",       EXIT_FAILED },
	[FAILURE_KILLED]         = { "killed",         EXIT_FAILED },
	[FAILURE_NO_JOB]         = { "no-job",         EXIT_FAILED },
	[FAILURE_JOB_ENDED]      = { "job-ended",      EXIT_FAILED },
	[FAILURE_JOB_RUNS]       = { "job-runs",       EXIT_FAILED },
	[FAILURE_NO_CRASH]       = { "no-crash",       EXIT_FAILED },
	[FAILURE_CRASH_BUSY]     = { "crash-busy",     EXIT_FAILED },
};

static const enum failure_kind of_code[] = {
	[GDUMP_ERR_NOMEM]       = FAILURE_NO_MEMORY,
	[GDUMP_ERR_OS]          = FAILURE_SYSTEM,
	[GDUMP_ERR_USAGE]       = FAILURE_USAGE,
	[GDUMP_ERR_FORMAT]      = FAILURE_UNKNOWN_FORMAT,
	[GDUMP_ERR_CORRUPT]     = FAILURE_CORRUPT,
	[GDUMP_ERR_UNSUPPORTED] = FAILURE_UNSUPPORTED,
	[GDUMP_ERR_NODATA]      = FAILURE_NO_DATA,
	[GDUMP_ERR_NOKEY]       = FAILURE_NO_KEY,
	[GDUMP_ERR_REMOTE]      = FAILURE_HYPERVISOR,
	[GDUMP_ERR_CANCELED]    = FAILURE_CANCELED,
	[GDUMP_ERR_PROTECTED]   = FAILURE_PROTECTED,
	[GDUMP_ERR_PART]        = FAILURE_MISSING_PARTS,
};

/* Failed system calls that a caller can do something about */
static const struct {
	int errnum;
	enum failure_kind kind;
} of_errno[] = {
	{ ENOENT, FAILURE_NOT_FOUND }, { ENOTDIR, FAILURE_NOT_FOUND },
	{ EEXIST, FAILURE_EXISTS },
	{ EACCES, FAILURE_NO_PERMISSION }, { EPERM, FAILURE_NO_PERMISSION },
	{ ENOSPC, FAILURE_NO_SPACE }, { EDQUOT, FAILURE_NO_SPACE }, { EFBIG, FAILURE_NO_SPACE },
	{ ENOMEM, FAILURE_NO_MEMORY },
};

enum failure_kind failure_kind_of_errno(int errnum)
{
	for (size_t i = 0; i < sizeof(of_errno) / sizeof(*of_errno); i++) {
		if (of_errno[i].errnum == errnum)
			return of_errno[i].kind;
	}
	return FAILURE_SYSTEM;
}

static enum failure_kind kind_of(enum gdump_code code, int errnum)
{
	if (code == GDUMP_ERR_CANCELED && signals_limit())
		return FAILURE_CPU_TIME;
	/* an object that cannot be read any more has a reason of the same kind */
	if (code == GDUMP_ERR_OS || (code == GDUMP_ERR_REMOTE && errnum))
		return failure_kind_of_errno(errnum);
	return (size_t)code < sizeof(of_code) / sizeof(*of_code) ? of_code[code] : FAILURE_SYSTEM;
}

static struct failure FAILURE_PRINTF(3, 0)
failure_of_text(enum failure_kind kind, int errnum, const char *fmt, va_list ap)
{
	struct failure ret = { .kind = kind, .errnum = errnum, .status = (int)failures[kind].status };

	if (vasprintf(&ret.message, fmt, ap) < 0)
		ret.message = NULL;
	return ret;
}

struct failure failure_new(enum failure_kind kind, int errnum, const char *fmt, ...)
{
	struct failure ret;
	va_list ap;

	va_start(ap, fmt);
	ret = failure_of_text(kind, errnum, fmt, ap);
	va_end(ap);
	return ret;
}

struct failure failure_of(struct gdump_error *err)
{
	const int errnum = gdump_error_errno(err);
	struct failure ret = failure_new(kind_of(gdump_error_code(err), errnum), errnum, "%s%s",
					 gdump_error_message(err), errnum == EEXIST ? " (--force)" : "");

	gdump_error_destroy(err);
	return ret;
}

void failure_deinit(struct failure *f)
{
	free(f->message);
	f->message = NULL;
}

static const char *message_of(const struct failure *f)
{
	return f->message ? f->message : "out of memory";
}

json_t *failure_json(const struct failure *f)
{
	const char *name = f->errnum ? strerrorname_np(f->errnum) : NULL;

	return json_pack("{s:s, s:o, s:s?, s:i, s:o, s:o}", "name", failures[f->kind].name,
			 "message", json_string_of(message_of(f)), "errno", name, "status", f->status,
			 "partial", json_string_of(f->partial), "partial_pages",
			 f->partial ? json_count(f->partial_pages) : json_null());
}

void failure_put(const struct failure *f, bool result)
{
	if (events_are_wanted())
		event_put("error", failure_json(f));
	if (result && results_are_json())
		json_line(stdout, "error", failure_json(f));
}

static void failure_print(const struct failure *f)
{
	if (events_are_json())
		return;
	say("%s", message_of(f));
	if (f->kind == FAILURE_CPU_TIME)
		say("%s", signals_limit());
}

int failure_say(const struct failure *f)
{
	failure_put(f, false);
	failure_print(f);
	return f->status;
}

int failure_report(struct failure *f)
{
	const int status = f->status;

	failure_put(f, true);
	failure_print(f);
	failure_deinit(f);
	return status;
}

int failed(enum failure_kind kind, int errnum, const char *fmt, ...)
{
	struct failure f;
	va_list ap;

	va_start(ap, fmt);
	f = failure_of_text(kind, errnum, fmt, ap);
	va_end(ap);
	return failure_report(&f);
}
