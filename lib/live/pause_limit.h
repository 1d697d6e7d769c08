/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pause_limit.h - for how long a dump may keep its guest paused
 */
#pragma once

#include <guestdump.h>

#include "../error.h"

struct pause_limit {
	unsigned int max_ms;            /* of the pause; 0: no limit            */
	unsigned int stall_ms;          /* of the pause without progress        */
	uint64_t progress;              /* as it was last                       */
	uint64_t progress_us;           /* when it changed; 0: never            */
};

struct pause_limit pause_limit_of(const struct gdump_open_options *opt);
/* A dump has come to @progress, which is another number whenever something was read or written.
 * Returns whether that is progress.
 */
bool pause_limit_note(struct pause_limit *l, uint64_t progress);
/* Why a guest that has been paused for @paused_us must be resumed now, or NULL. */
MUST_CHECK struct gdump_error *pause_limit_check(const struct pause_limit *l, uint64_t paused_us);
/* The same of a snapshot that has not been read for @waited_us, so that a guest may wait that runs
 * otherwise.
 */
MUST_CHECK struct gdump_error *pause_limit_check_wait(const struct pause_limit *l,
						      uint64_t waited_us);
