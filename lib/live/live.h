/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * live.h - running guests
 */
#pragma once

#include "../source.h"

/* QEMU by its QMP socket @path.  @opt is never NULL. */
MUST_CHECK struct gdump_error *qemu_open(const char *path, const struct gdump_open_options *opt,
					 struct source **ret);
