/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * store.h - how to reach an object store: by the variables and files that Amazon's own tools use
 */
#pragma once

#include <stdbool.h>

#include "arguments.h"

/* Whether @where, which may be NULL, names an object: "s3://...", or a URL */
bool is_object(const char *where);
/* @where without the secrets that a URL may contain, for messages and records; it remains. */
const char *shown_name(const char *where);
/* If an argument is an object, complete what the options say of its server, and let the library have
 * it. Returns ARGUMENTS_GOOD, or the status to exit with after an error message.
 */
int store_find(struct arguments *args);
