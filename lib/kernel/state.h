/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * state.h - uptime and panic of the guest's kernel
 */
#pragma once

#include "kernel.h"

/* Fill all members of @ret but .size as far as they are known; see gdump_kernel(). */
MUST_CHECK struct gdump_error *state_read(struct source *s, struct gdump_kernel *ret);
/* The same of a kernel that is open already */
void state_of(struct kernel *k, struct gdump_kernel *ret);
/* CLOCK_MONOTONIC as of the last tick; false: unknown. */
bool state_monotonic_ns(struct kernel *k, uint64_t *ret);
/* The kernel's count of ticks, and how many there are in a second; false: unknown. */
bool state_jiffies(struct kernel *k, uint64_t *jiffies, uint64_t *hz);
