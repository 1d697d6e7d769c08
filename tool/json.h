/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * json.h - JSON, of what comes from a guest and for it
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* Before all else: jansson is not to be let down when memory is short. */
void json_init(void);

/* Text of a guest or the name of a file, whatever is in it: where it is not UTF-8, all that is
 * not ASCII becomes question marks.
 */
json_t *json_text(const char *text, size_t len);
/* The same of a string; NULL becomes null. */
json_t *json_string_of(const char *text);
