/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * bisect.h - search in sorted arrays
 */
#pragma once

#include <stddef.h>

/*
 * The lowest @i in [0, @num) for which @cond, an expression that uses @i, is true; @num if
 * it is true for none.  @cond must be false up to some index and true from there on.
 *
 *	size_t first = BISECT(num_ranges, i, range_last(&ranges[i]) >= paddr);
 */
#define BISECT(num, i, cond) __extension__ ({ \
	size_t low_ = 0, high_ = (num); \
	while (low_ < high_) { \
		const size_t i = low_ + (high_ - low_) / 2; \
		if (cond) \
			high_ = i; \
		else \
			low_ = i + 1; \
	} \
	low_; \
})
