/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * state.h - uptime and panic of the guest's kernel
 */
#pragma once

#include "../machine/source.h"

/* Fill all members of @ret but .size as far as they are known; see gdump_kernel(). */
MUST_CHECK struct gdump_error *state_read(struct source *s, struct gdump_kernel *ret);
