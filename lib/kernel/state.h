/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * state.h - since when the guest's kernel runs, and whether it still does
 */
#pragma once

#include "../machine/source.h"

/* Fill all but .size of @ret with what can be found out, see gdump_kernel(). */
MUST_CHECK struct gdump_error *state_read(struct source *s, struct gdump_kernel *ret);
