/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * filter.h - omit pages of a Linux guest from a plan
 */
#pragma once

#include "../write/plan.h"

/* Omit from @plan the pages that @drop (enum gdump_drop) names and that the guest's struct
 * pages prove to be of that kind.  Pages whose struct page cannot be read or contradicts
 * itself are kept.  If no page can be filtered, plan->warning says why, and that is no error.
 * Runs threads; the result does not depend on their number.
 */
MUST_CHECK struct gdump_error *filter_plan(struct gdump_plan *plan, struct source *s,
					   unsigned int drop);
