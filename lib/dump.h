/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * dump.h - the object behind struct gdump
 */
#pragma once

#include "machine/source.h"

struct gdump {
	struct source *source;
	struct gdump_info info;
	char *where;
};

/* What the caller did not give is the default, also where its struct is an
 * older and shorter one.
 */
void write_options_copy(struct gdump_write_options *to, const struct gdump_write_options *from);
/* Give the caller as much of a result as its struct has room for. */
void write_result(struct gdump_result *to, const struct gdump_result *result);
