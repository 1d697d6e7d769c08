/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * store.h - how to reach an object store: by the variables and files that Amazon's own tools use
 */
#pragma once

#include <stdbool.h>

#include "arguments.h"

/* Whether @where, which may be NULL, names an object: "s3://..." */
bool is_object(const char *where);
/* Complete what the options say of the store, and let the library have it. Returns ARGUMENTS_GOOD, or
 * the status to exit with after an error message.
 */
int store_find(struct arguments *args);
