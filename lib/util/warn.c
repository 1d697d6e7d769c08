/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "warn.h"

#include <stdarg.h>
#include <stdio.h>

void warn_caller(const struct gdump_open_options *opt, const char *fmt, ...)
{
	char message[2048];
	va_list ap;

	if (!opt->warn)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	opt->warn(opt->warn_arg, message);
}
