/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * debug.h - debug messages: what was decided, and why
 *
 * Each message is a whole clause that names its subject.  No message contains keys or guest
 * memory.  Without a listener nothing is formatted.
 */
#pragma once

#include <guestdump.h>

struct debug {
	gdump_debug_fn *fn;             /* NULL: no listener                    */
	void *arg;
};

static inline struct debug debug_of(const struct gdump_open_options *opt)
{
	return (struct debug){ opt->debug, opt->debug_arg };
}

/* Format and deliver a message, truncated if it is very long.  Call debug_log() instead. */
void debug_message(const struct debug *d, enum gdump_debug_level level, const char *fmt, ...)
	__attribute__((__format__(__printf__, 3, 4)));

/* Send a message to the listener, on one of the threads that gdump_debug_fn names.  The
 * arguments are evaluated only if there is a listener.
 */
#define debug_log(d, level, ...) \
	do { \
		if ((d)->fn) \
			debug_message(d, level, __VA_ARGS__); \
	} while (0)
