/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "format.h"

#include <string.h>

#include "../util/bits.h"

static const struct format *const formats[] = {
#define X(name) &format_##name,
	FORMATS(X)
#undef X
};

/* QEMU's names of formats with a codec.  Its "raw" means not flattened, which
 * depends on the output here.
 */
static const struct {
	const char *name, *format, *codec;
} aliases[] = {
	{ "kdump-zlib",       "kdump", "zlib" },
	{ "kdump-lzo",        "kdump", "lzo" },
	{ "kdump-snappy",     "kdump", "snappy" },
	{ "kdump-zstd",       "kdump", "zstd" },
	{ "kdump-raw-zlib",   "kdump", "zlib" },
	{ "kdump-raw-lzo",    "kdump", "lzo" },
	{ "kdump-raw-snappy", "kdump", "snappy" },
};

const struct format *format_at(size_t i)
{
	return i < ARRAY_SIZE(formats) ? formats[i] : NULL;
}

const struct format *format_find(const char *name, const char **codec)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (!strcmp(formats[i]->name, name))
			return formats[i];
	}
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
		if (!strcmp(aliases[i].name, name)) {
			*codec = aliases[i].codec;
			return format_find(aliases[i].format, codec);
		}
	}
	return NULL;
}
