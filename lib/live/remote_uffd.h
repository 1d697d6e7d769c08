/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * remote_uffd.h - a userfaultfd(2) for the memory of another process
 */
#pragma once

#include "freezer.h"

/* For freezer_call(); @arg: an int, which becomes the descriptor.  Only we have it: when we close it
 * or end, the kernel removes all that was done with it.  GDUMP_ERR_REMOTE: the process may not.
 */
freezer_fn remote_uffd_create;
/* Whether the process might: an error says why not. */
MUST_CHECK struct gdump_error *remote_uffd_check(pid_t pid);
