/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "json.h"

#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "event.h"
#include "tool.h"

enum { TRIES = 100, NAP_MS = 10 };

/* 15 digits: what a double holds exactly */
static const size_t style = JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15);

/* jansson 2.14 loses characters, or reads past its buffer, if an allocation fails: so try for a
 * while, then exit. The guard resumes a paused guest then, as after kill -9.
 */
static void *allocate(size_t size)
{
	for (int i = 0; i < TRIES; i++) {
		void *p = malloc(size);

		if (p || !size)
			return p;
		poll(NULL, 0, NAP_MS);
	}
	/* without jansson; an event may have been printed in part */
	fputs(events_are_json() ? "\n{\"schema\":1,\"type\":\"error\",\"name\":\"no-memory\",\"message\":\"out of memory\",\"errno\":null,\"status\":1,\"partial\":null,\"partial_pages\":null}\n" :
	      "guestdump: out of memory\n", stderr);
	fflush(stderr);
	_exit(EXIT_FAILED);
}

void json_init(void)
{
	json_set_alloc_funcs(allocate, free);
}

/* The length of the UTF-8 character that @text begins with; 0: it begins with none. */
static size_t utf8_length(const unsigned char *text, size_t len)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char c = text[0];
	const size_t n = c < 0x80 ? 1 : c < 0xc0 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf8 ? 4 : 0;
	uint32_t code = n < 2 ? c : c & (0x7fu >> n);

	if (!n || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return n;
}

json_t *json_text(const char *text, size_t len)
{
	char *valid = allocate(4 * len + 1);
	size_t used = 0, n;
	json_t *ret;

	for (size_t i = 0; i < len; i += n ? n : 1) {
		n = utf8_length((const unsigned char *)text + i, len - i);
		memcpy(valid + used, text + i, n);
		used += n;
		if (!n)
			used += (size_t)sprintf(valid + used, "\\x%02x", (unsigned char)text[i]);
	}
	ret = json_stringn(valid, used);
	free(valid);
	return ret;
}

json_t *json_string_of(const char *text)
{
	return text ? json_text(text, strlen(text)) : json_null();
}

json_t *json_count(uint64_t n)
{
	return json_integer(n < INT64_MAX ? (json_int_t)n : INT64_MAX);
}

json_t *json_address(uint64_t address)
{
	return json_wide(0, address);
}

json_t *json_wide(uint64_t high, uint64_t low)
{
	char hex[40];

	if (high)
		snprintf(hex, sizeof(hex), "0x%" PRIx64 "%016" PRIx64, high, low);
	else
		snprintf(hex, sizeof(hex), "0x%" PRIx64, low);
	return json_string(hex);
}

json_t *json_index(int64_t index)
{
	return index < 0 ? json_null() : json_integer(index);
}

json_t *json_seconds(double seconds)
{
	return json_seconds_of_us((uint64_t)(1e6 * seconds + 0.5));
}

json_t *json_seconds_of_us(uint64_t us)
{
	return json_real((double)us / 1e6);
}

void json_line(FILE *out, const char *type, json_t *members)
{
	json_t *o = json_pack("{s:i, s:s}", "schema", JSON_SCHEMA, "type", type);

	json_object_update(o, members);
	json_dumpf(o, out, style);
	putc('\n', out);
	json_decref(o);
	json_decref(members);
}
