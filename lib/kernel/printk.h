/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * printk.h - the guest kernel's log
 */
#pragma once

#include "../machine/source.h"

/* Call @fn for each record that is still in the ring, the oldest first.  Works
 * from VMCOREINFO and memory alone; GDUMP_ERR_UNSUPPORTED says what is missing.
 */
MUST_CHECK struct gdump_error *printk_read(struct source *s, gdump_log_fn *fn, void *arg);
