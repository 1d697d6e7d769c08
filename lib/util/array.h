/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * array.h - arrays that grow by one element at a time
 */
#pragma once

#include <stdlib.h>

#include "bits.h"

enum { ARRAY_MIN = 16 };                /* elements of the first allocation     */

/*
 * Make room for one more element after the @num elements of @array, which is NULL
 * or has grown only by this macro.  True: array[num] may be written.  False: there is
 * no memory, and @array is as it was.  @num may shrink between two calls.  The caller
 * frees @array.
 *
 * The capacity is not stored: it is @num rounded up to a power of two, so an array can
 * be full only when @num is a power of two.
 */
#define ARRAY_GROW(array, num) __extension__ ({ \
	void *grown_ = array_grow((array), (num), sizeof(*(array))); \
	if (grown_) \
		(array) = grown_; \
	grown_ != NULL; \
})

static inline void *array_grow(void *array, size_t num, size_t size)
{
	if (array && (num < ARRAY_MIN || !is_power_of_2(num)))
		return array;
	if (num > SIZE_MAX / 2 / size)
		return NULL;
	return realloc(array, MAX(2 * num, ARRAY_MIN) * size);
}
