/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "args.h"

#include <string.h>

#include "util/bits.h"

static size_t args_size(const void *arg)
{
	size_t size;

	memcpy(&size, arg, sizeof(size));
	return size;
}

struct gdump_error *args_check(const void *arg, size_t least, const char *name)
{
	if (args_size(arg) >= least)
		return NULL;
	return error_new(GDUMP_ERR_USAGE,
			 "struct %s: its member size is %zu; set it to the size of the struct", name,
			 args_size(arg));
}

struct gdump_error *args_take(void *to, size_t size, const void *from, size_t least,
			      const char *name)
{
	struct gdump_error *err = from ? args_check(from, least, name) : NULL;

	memset(to, 0, size);
	if (from && !err)
		memcpy(to, from, MIN(args_size(from), size));
	return err;
}

void args_return(void *to, const void *from, size_t size)
{
	const size_t theirs = args_size(to);

	memcpy(to, from, MIN(theirs, size));
	memcpy(to, &theirs, MIN(theirs, sizeof(theirs)));
}
