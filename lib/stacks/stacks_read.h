/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * stacks_read.h - the stacks that the user asks for
 */
#pragma once

#include "../machine/source.h"

/* Call @fn for stacks, on the calling thread; see gdump_stacks(). */
MUST_CHECK struct gdump_error *stacks_read(struct source *s, const struct gdump_stacks_options *opt,
					   gdump_stack_fn *fn, void *arg);
