/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * schemes.c - the schemes of names of running guests
 */
#include "live.h"

#include <stdio.h>
#include <string.h>

#include "../util/bits.h"

static const struct guest_scheme schemes[] = {
	{ "qmp:", "qmp:SOCKET", qemu_open },
};

const struct guest_scheme *guest_scheme_at(size_t i)
{
	return i < ARRAY_SIZE(schemes) ? &schemes[i] : NULL;
}

const struct guest_scheme *guest_scheme_of(const char *where)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (!strncmp(where, schemes[i].prefix, strlen(schemes[i].prefix)))
			return &schemes[i];
	}
	return NULL;
}

struct gdump_error *guest_scheme_unknown(const char *where)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789+-";
	const size_t len = strspn(where, letters);
	char usages[200] = "";

	/* one letter is rather a drive of another system */
	if (len < 2 || where[len] != ':')
		return NULL;
	for (size_t i = 0, used = 0; i < ARRAY_SIZE(schemes) && used < sizeof(usages); i++)
		used += (size_t)snprintf(usages + used, sizeof(usages) - used, "%s%s",
					 i ? ", " : "", schemes[i].usage);
	return error_new(GDUMP_ERR_USAGE,
			 "there is no such file, and \"%.*s:\" does not name a kind of running guest; "
			 "a running guest is named %s", (int)MIN(len, (size_t)40), where, usages);
}
