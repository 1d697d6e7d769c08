/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * error.h - errors are returned objects
 *
 * NULL is success.  The message is one sentence without newline; each layer
 * that knows more puts it in front with error_prefix().
 */
#pragma once

#include <guestdump.h>

#define MUST_CHECK GDUMP_MUST_CHECK
#define PRINTF(fmt, args) __attribute__((__format__(__printf__, fmt, args)))

struct gdump_error {
	enum gdump_code code;
	int errnum;
	char *message;
};

/* The one error that needs no memory.  Destroying it does nothing. */
struct gdump_error *error_nomem(void);

struct gdump_error *error_new(enum gdump_code code, const char *fmt, ...) PRINTF(2, 3);

/* A failed system call: the meaning of @errnum is added to the message. */
struct gdump_error *error_os(int errnum, const char *fmt, ...) PRINTF(2, 3);

/* Put "<what>: " in front of @err's message and return @err; NULL stays NULL. */
struct gdump_error *error_prefix(struct gdump_error *err, const char *fmt, ...) PRINTF(2, 3);

/* For callers that can do without anything but memory: @err if it is GDUMP_ERR_NOMEM, else NULL. */
struct gdump_error *error_if_nomem(struct gdump_error *err);

static inline void error_cleanup(struct gdump_error **err)
{
	gdump_error_destroy(*err);
}
#define CLEANUP_ERROR __attribute__((__cleanup__(error_cleanup)))
