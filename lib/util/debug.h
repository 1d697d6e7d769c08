/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * debug.h - messages for whoever looks for a fault: what was decided, and why
 *
 * Each message is a whole clause that names what it is about. Keys and guest memory never
 * appear in one. Nothing is formatted where nobody listens.
 */
#pragma once

#include <guestdump.h>

struct debug {
	gdump_debug_fn *fn;             /* NULL: nobody listens                 */
	void *arg;
};

static inline struct debug debug_of(const struct gdump_open_options *opt)
{
	return (struct debug){ opt->debug, opt->debug_arg };
}

/* Format and deliver a message; a very long one is cut. Use debug_log(). */
void debug_message(const struct debug *d, enum gdump_debug_level level, const char *fmt, ...)
	__attribute__((__format__(__printf__, 3, 4)));

/* The arguments are evaluated only where somebody listens. Which threads may call it is in
 * the description of gdump_debug_fn: keep to those.
 */
#define debug_log(d, level, ...) \
	do { \
		if ((d)->fn) \
			debug_message(d, level, __VA_ARGS__); \
	} while (0)
