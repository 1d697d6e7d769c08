/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * span.h - a read that goes over spans with gaps between them
 *
 * Pieces of memory in a file, frames of AVML and records of a flattened file are read with the
 * same loop: zeros where no span is, and bytes of each span that the read touches.
 */
#pragma once

#include "bits.h"

/* One step of the loop: @gap zeros, and then @len bytes of the span from @skip on.  @len 0: the
 * read ends before the span.
 */
struct span_step {
	size_t gap, len;
	uint64_t skip;
};

/* The step of a read of @len bytes at @at that leads over the span of @size bytes at @start, which
 * ends above @at.
 */
static inline struct span_step span_step(uint64_t start, uint64_t size, uint64_t at, size_t len)
{
	const size_t gap = start > at ? (size_t)MIN(start - at, (uint64_t)len) : 0;
	const uint64_t skip = start > at ? 0 : at - start;

	return (struct span_step){
		.gap = gap, .len = (size_t)MIN((uint64_t)(len - gap), size - skip), .skip = skip,
	};
}
