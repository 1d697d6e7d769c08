/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "debug.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_MESSAGE = 2048 };

void debug_message(const struct debug *d, enum gdump_debug_level level, const char *fmt, ...)
{
	static const char cut[] = "...";
	char message[MAX_MESSAGE];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	if (len >= MAX_MESSAGE)
		memcpy(message + sizeof(message) - sizeof(cut), cut, sizeof(cut));
	d->fn(d->arg, level, message);
}
