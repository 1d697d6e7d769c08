/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * guest_lock.h - one dump of a guest at a time
 *
 * Two that pause the same guest through two monitors, or by two ways, would each believe that the
 * guest had been paused by somebody else, and one would resume it under the other.
 */
#pragma once

#include <sys/types.h>

#include "../error.h"

/* Take the lock of the guest whose VMM is process @pid (0: unknown, nothing happens) until @ret is
 * closed; -1: there is no lock, as this process has it, or none can be had. GDUMP_ERR_REMOTE:
 * another process has it.
 */
MUST_CHECK struct gdump_error *guest_lock_take(pid_t pid, int *ret);
