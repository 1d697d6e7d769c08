/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * stacks.h - the stacks of the guest's tasks and CPUs
 */
#pragma once

#include "../machine/source.h"

/* Call @fn for stacks, on the calling thread; see gdump_stacks(). */
MUST_CHECK struct gdump_error *stacks_read(struct source *s, const struct gdump_stacks_options *opt,
					   gdump_stack_fn *fn, void *arg);
