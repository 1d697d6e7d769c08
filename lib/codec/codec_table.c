/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "codec.h"

#include <string.h>

#include "../util/bits.h"

static const struct codec *const codecs[] = {
#define X(name) &codec_##name,
	CODECS(X)
#undef X
};

const struct codec *codec_at(size_t i)
{
	return i < ARRAY_SIZE(codecs) ? codecs[i] : NULL;
}

const struct codec *codec_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		if (!strcmp(codecs[i]->name, name))
			return codecs[i];
	}
	return NULL;
}

uint32_t codec_kdump_flags(void)
{
	uint32_t flags = 0;

	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++)
		flags |= codecs[i]->kdump_flag;
	return flags;
}

const struct codec *codec_by_kdump_flag(uint32_t flag)
{
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		if (flag && codecs[i]->kdump_flag == flag)
			return codecs[i];
	}
	return NULL;
}
