/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * warn.h - warnings to the caller of the library
 */
#pragma once

#include <guestdump.h>

/* Call @opt->warn, if there is one, on the calling thread. The message is cut at 2047 bytes. */
void warn_caller(const struct gdump_open_options *opt, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));
