/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * stream.c - a migration stream, as a pipe gives it: in pieces
 *
 * However it is cut, the parser reports the same.  The size of the pieces comes from the
 * last byte.
 */
#include "../unit/stream_feed.h"
#include "fuzz.h"

void fuzz_stream(const uint8_t *data, size_t size)
{
	const size_t step = size ? 1 + data[size - 1] * (size_t)17 : 1;

	if (stream_feed(data, size, size ? size : 1, false).sum !=
	    stream_feed(data, size, step, false).sum)
		fuzz_die("pieces of %zu bytes give something else than the whole", step);
}
