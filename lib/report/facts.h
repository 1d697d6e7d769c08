/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * facts.h - the tree of facts that a report is
 *
 * A function that adds a fact takes the one above it, and returns the new one.  Above NULL it
 * does nothing and returns NULL, as it does when the tree is full: nothing has to be checked on
 * the way.  @name must be a constant.  The tree owns copies of everything else.
 */
#pragma once

#include "../error.h"

/* Create a tree: a group without anything above it. */
MUST_CHECK struct gdump_error *facts_create(const char *name, struct gdump_fact **ret);
/* Whether all that was added is there: else GDUMP_ERR_NOMEM. */
MUST_CHECK struct gdump_error *facts_check(const struct gdump_fact *root);
/* From now on, that many more bytes fit.  Returns whether something did not fit before. */
bool facts_limit(const struct gdump_fact *root, size_t size);

struct gdump_fact *fact_group(struct gdump_fact *above, const char *name);
struct gdump_fact *fact_list(struct gdump_fact *above, const char *name);
struct gdump_fact *fact_number(struct gdump_fact *above, const char *name, uint64_t number,
			       enum gdump_unit unit);
struct gdump_fact *fact_flag(struct gdump_fact *above, const char *name, bool is_so);
struct gdump_fact *fact_address(struct gdump_fact *above, const char *name, uint64_t address);
struct gdump_fact *fact_text(struct gdump_fact *above, const char *name, const char *fmt, ...)
	PRINTF(3, 4);
/* Text of the guest, up to the first NUL */
struct gdump_fact *fact_guest_text(struct gdump_fact *above, const char *name, const char *text,
				   size_t len);
struct gdump_fact *fact_stack(struct gdump_fact *above, const char *name,
			      const struct gdump_stack *stack);

/* The first fact of that name directly below, or NULL. */
const struct gdump_fact *fact_find(const struct gdump_fact *above, const char *name);
/* Sort what is directly below by number; equal ones keep their order. */
void fact_sort(struct gdump_fact *above);
