/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * args.h - structs of the caller that begin with their own size
 *
 * A program may have been compiled with an older header, in which the struct ended earlier, or
 * with a later one.  A size so small that there is nothing after it was forgotten, and what the
 * caller meant to say would be ignored: that is GDUMP_ERR_USAGE.
 */
#pragma once

#include <stddef.h>

#include "error.h"

/* The least size of a struct whose first member after .size is @second */
#define ARGS_LEAST(type, second) (offsetof(type, second) + sizeof(((type *)NULL)->second))

/* Check the size of @arg, a struct of that @name which has at least @least bytes. */
MUST_CHECK struct gdump_error *args_check(const void *arg, size_t least, const char *name);
/* Copy @from (NULL: all is zero) to @to, which has @size bytes, after such a check. */
MUST_CHECK struct gdump_error *args_take(void *to, size_t size, const void *from, size_t least,
					 const char *name);
/* Copy the result @from, of @size bytes, as far as the caller's struct @to has room. */
void args_return(void *to, const void *from, size_t size);
