/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * json.h - JSON from untrusted text
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* Call it first: makes jansson safe when memory is short. */
void json_init(void);

/* A JSON string from text of a guest or the name of a file, which can hold any bytes: if it is
 * not UTF-8, each byte that is not ASCII becomes a question mark.
 */
json_t *json_text(const char *text, size_t len);
/* The same for a C string; NULL becomes null. */
json_t *json_string_of(const char *text);
