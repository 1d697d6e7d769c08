/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * json.h - the form of all JSON that the program prints
 *
 * guestdump-json(5) describes it, and guestdump-1.schema.json says which members each object has.
 * In one way for all: objects at the top are printed by json_line(); text that may hold any bytes
 * is a json_text(), an address a json_address(), and a number of things or bytes a json_count();
 * what is unknown is null.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { JSON_SCHEMA = 1 };               /* the version of the form              */

/* Call it first: makes jansson safe when memory is short. */
void json_init(void);

/* A string from text of a guest or the name of a file: each byte that is not part of valid UTF-8
 * becomes the four characters \xNN.
 */
json_t *json_text(const char *text, size_t len);
/* The same for a C string; NULL becomes null. */
json_t *json_string_of(const char *text);
/* An integer; numbers above 2^63-1 become 2^63-1. */
json_t *json_count(uint64_t n);
/* A string in hexadecimal: "0x1f" */
json_t *json_address(uint64_t address);
/* The same for 128 bits */
json_t *json_wide(uint64_t high, uint64_t low);
/* An integer, or null if @index is negative: which CPU, for example */
json_t *json_index(int64_t index);
/* A real number, rounded to microseconds */
json_t *json_seconds(double seconds);
json_t *json_seconds_of_us(uint64_t us);

/* Print an object at the top, on a line of its own: {"schema":1,"type":@type, @members...}.
 * @members is released.
 */
void json_line(FILE *out, const char *type, json_t *members);
