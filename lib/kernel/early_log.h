/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * early_log.h - the log of a kernel that has no VMCOREINFO yet
 */
#pragma once

#include "../machine/source.h"

/* Search all memory for a log from boot on, and call @fn for its records, on the calling thread.
 * @found gets what identify_system() finds, in any case, as that shows where the search begins.
 * GDUMP_ERR_UNSUPPORTED: there is none, or it has been overwritten since, or the kernel is older
 * than 5.10; or so much memory would take too long, when @found is empty.
 */
MUST_CHECK struct gdump_error *early_log_read(struct source *s, struct gdump_system *found,
					      gdump_log_fn *fn, void *arg);
