/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * json_text.h - values in a text of JSON, which is not copied
 *
 * For states of hypervisors, which have integers up to UINT64_MAX and megabytes that we do not need.
 * A text that is not JSON gives some value, or none, but is never read past its end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value; p NULL: there is none, and whatever is asked of it is not there either */
struct json_text {
	const char *p, *end;
};

/* The value at the beginning of @buf */
struct json_text json_text_of(const char *buf, size_t len);
/* The value of @key in an object; the first one, if there are several */
struct json_text json_text_member(struct json_text object, const char *key);
/* The value that a path of keys leads to; the path ends with NULL. */
struct json_text json_text_at(struct json_text object, const char *const *keys);
/* The elements of an array, one after the other: begin with an @element of { 0 }. */
bool json_text_next(struct json_text array, struct json_text *element);
/* The same for an object; @key: the text of the key, with its quotes */
bool json_text_next_member(struct json_text object, struct json_text *key, struct json_text *value);
bool json_text_is_string(struct json_text v);
bool json_text_is_true(struct json_text v);
/* An integer from 0 to UINT64_MAX */
bool json_text_u64(struct json_text v, uint64_t *ret);
/* Exactly @size numbers below 256 */
bool json_text_bytes(struct json_text array, unsigned char *buf, size_t size);
/* The characters of a string, with a NUL, to be freed; those above 127 that are escaped become
 * question marks.  NULL: it is no string, or there is no memory.
 */
char *json_text_string(struct json_text v);
