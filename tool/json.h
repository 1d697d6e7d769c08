/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * json.h - what comes from a guest, as JSON
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* Text of a guest, whatever is in it: what is not UTF-8 becomes question marks. */
json_t *json_text(const char *text, size_t len);
