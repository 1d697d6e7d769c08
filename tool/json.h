/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * json.h - JSON, of what comes from a guest and for it
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* Before all else: jansson is not to be let down when memory is short. */
void json_init(void);

/* Text of a guest, whatever is in it: what is not UTF-8 becomes question marks. */
json_t *json_text(const char *text, size_t len);
