/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * settings.h - the options for writing, checked
 */
#pragma once

#include "codec/codec.h"
#include "format/format.h"

enum { MAX_OUTPUTS = 1000 };            /* files of a split dump                */

struct settings {
	const struct format *format;
	const struct codec *codec;      /* NULL: pages are not compressed       */
	int level;
	unsigned int threads;
};

/* Check and copy the options; what the caller did not give is the default. */
MUST_CHECK struct gdump_error *write_options_take(struct gdump_write_options *to,
						  const struct gdump_write_options *from);
/* The same, and find the settings that they ask for.  Options that do not go together are
 * GDUMP_ERR_USAGE.
 */
MUST_CHECK struct gdump_error *settings_take(struct gdump_write_options *opt,
					     const struct gdump_write_options *options,
					     struct settings *set);
/* Fit them to what is dumped: fail if @s gives what the format cannot take, and choose the
 * default level by how @s gives it.
 */
MUST_CHECK struct gdump_error *settings_fit(struct settings *set,
					    const struct gdump_write_options *opt,
					    const struct source *s);
