/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "pause_limit.h"

#include "../util/clock.h"

enum { STALL_MS = 60000 };              /* when the caller does not say         */

struct pause_limit pause_limit_of(const struct gdump_open_options *opt)
{
	return (struct pause_limit){
		.max_ms = opt->max_pause_ms,
		.stall_ms = opt->max_stall_ms ? opt->max_stall_ms : STALL_MS,
	};
}

bool pause_limit_note(struct pause_limit *l, uint64_t progress)
{
	if (l->progress_us && progress == l->progress)
		return false;
	l->progress = progress;
	l->progress_us = clock_us();
	return true;
}

struct gdump_error *pause_limit_check(const struct pause_limit *l, uint64_t paused_us)
{
	if (l->max_ms && paused_us / 1000 >= l->max_ms)
		return error_new(GDUMP_ERR_REMOTE,
				 "the guest was resumed after the longest pause that is allowed, %.1f s, before all memory was read",
				 l->max_ms / 1000.0);
	if (l->progress_us && (clock_us() - l->progress_us) / 1000 >= l->stall_ms)
		return error_new(GDUMP_ERR_REMOTE,
				 "the guest was resumed after %.1f s without progress, before all memory was read",
				 l->stall_ms / 1000.0);
	return NULL;
}

struct gdump_error *pause_limit_check_wait(const struct pause_limit *l, uint64_t waited_us)
{
	const unsigned int limit = l->max_ms && l->max_ms < l->stall_ms ? l->max_ms : l->stall_ms;

	if (waited_us / 1000 < limit)
		return NULL;
	return error_new(GDUMP_ERR_REMOTE,
			 "the guest waited for its snapshot to be read for %.1f s, so the rest of it was discarded",
			 limit / 1000.0);
}
