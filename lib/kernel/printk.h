/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * printk.h - the guest kernel's log
 */
#pragma once

#include "../machine/source.h"

/* Call @fn for each record in the ring buffer, the oldest first, on the calling thread.
 * GDUMP_ERR_UNSUPPORTED: VMCOREINFO or the page tables lack something; GDUMP_ERR_CORRUPT: a
 * size is not plausible.
 */
MUST_CHECK struct gdump_error *printk_read(struct source *s, gdump_log_fn *fn, void *arg);
