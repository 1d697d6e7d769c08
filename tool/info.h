/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * info.h - guestdump info: what both of its forms need
 */
#pragma once

#include <jansson.h>

#include "tool.h"

/* What was found out; @plan is NULL without --pages. */
struct info_found {
	struct gdump *g;
	struct gdump_protection protection;
	struct gdump_plan *plan;
	char *ways;                     /* to a guest, see guests_ways(), or NULL */
	json_t *ways_json;              /* with --json: see guests_ways_json()  */
};

/* Print it as JSON. Returns the exit status. */
int info_print_json(const struct info_found *found, const struct arguments *args);
