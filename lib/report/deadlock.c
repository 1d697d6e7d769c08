/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "deadlock.h"

/* A walk marks all that it visits with the number of its start, plus one.  What was marked by
 * this walk closes a circle; what was by an earlier one has been looked at.
 */
size_t deadlock_next(const size_t *waits_for, size_t num, size_t *mark, size_t *from)
{
	while (*from < num) {
		const size_t start = (*from)++;
		size_t at = start;

		while (at < num && !mark[at]) {
			mark[at] = start + 1;
			at = waits_for[at];
		}
		if (at < num && mark[at] == start + 1)
			return at;
	}
	return DEADLOCK_NONE;
}
