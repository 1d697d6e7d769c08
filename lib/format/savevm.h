/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * savevm.h - a file with QEMU's migration stream in it, for the formats that have one
 */
#pragma once

#include "../migration/placement.h"
#include "format.h"

struct savevm_spec {
	const char *name;               /* of the format; static                */
	const char *what;               /* begins image.detail                  */
	uint64_t pos;                   /* of the stream in the file            */
	struct placement_hints hints;   /* what else is known; borrowed         */
	const char *warning;            /* why the stream may not be whole; NULL: it may be */
};

/* Owns @in from now on, also when it fails. */
MUST_CHECK struct gdump_error *savevm_open_at(struct bytes *in, const struct savevm_spec *spec,
					      struct source **ret);
