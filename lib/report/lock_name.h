/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * lock_name.h - which lock of the kernel is at an address
 */
#pragma once

#include "waits.h"

enum { LOCK_NAME = 512 };

/* Describe the lock that is waited for: a variable, or a part of a file system, a file or a
 * process.  @ret has LOCK_NAME bytes and may get text of the guest; false: it is unknown.
 */
bool lock_describe(struct report *r, const struct wait *wait, char *ret);
