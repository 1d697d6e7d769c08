/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct gdump_error nomem = {
	.code = GDUMP_ERR_NOMEM,
	.message = (char *)"out of memory",
};

struct gdump_error *error_nomem(void)
{
	return (struct gdump_error *)&nomem;
}

static struct gdump_error *error_take(enum gdump_code code, int errnum, char *message)
{
	struct gdump_error *err = malloc(sizeof(*err));

	if (!message || !err) {
		free(message);
		free(err);
		return error_nomem();
	}
	*err = (struct gdump_error){ .code = code, .errnum = errnum, .message = message };
	return err;
}

struct gdump_error *error_new(enum gdump_code code, const char *fmt, ...)
{
	char *message;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&message, fmt, ap) < 0)
		message = NULL;
	va_end(ap);
	return error_take(code, 0, message);
}

struct gdump_error *error_os(int errnum, const char *fmt, ...)
{
	char *what, *message = NULL;
	char reason[128];
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) < 0)
		what = NULL;
	va_end(ap);
	if (what && asprintf(&message, "%s: %s", what,
			     strerror_r(errnum, reason, sizeof(reason))) < 0)
		message = NULL;
	free(what);
	return error_take(GDUMP_ERR_OS, errnum, message);
}

struct gdump_error *error_prefix(struct gdump_error *err, const char *fmt, ...)
{
	char *what, *message = NULL;
	va_list ap;

	if (!err || err == &nomem)
		return err;
	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) < 0)
		what = NULL;
	va_end(ap);
	if (what && asprintf(&message, "%s: %s", what, err->message) < 0)
		message = NULL;
	free(what);
	if (message) {
		free(err->message);
		err->message = message;
	}
	return err;
}

struct gdump_error *error_if_nomem(struct gdump_error *err)
{
	if (!err || err->code == GDUMP_ERR_NOMEM)
		return err;
	gdump_error_destroy(err);
	return NULL;
}

enum gdump_code gdump_error_code(const struct gdump_error *err)
{
	return err->code;
}

const char *gdump_error_message(const struct gdump_error *err)
{
	return err->message;
}

int gdump_error_errno(const struct gdump_error *err)
{
	return err->errnum;
}

void gdump_error_destroy(struct gdump_error *err)
{
	if (!err || err == &nomem)
		return;
	free(err->message);
	free(err);
}
