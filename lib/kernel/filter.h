/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * filter.h - plan which of a Linux guest's pages nobody will look at
 */
#pragma once

#include "../write/plan.h"

/* Leave out of @plan what @drop (enum gdump_drop) asks for and the guest's
 * struct pages prove.  Where they cannot be read or contradict themselves pages
 * are kept; when that is so for all of them, plan->warning says why.
 */
MUST_CHECK struct gdump_error *filter_plan(struct gdump_plan *plan, struct source *s,
					   unsigned int drop);
