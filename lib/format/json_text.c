/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "json_text.h"

#include <stdlib.h>
#include <string.h>

static const char *json_skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

/* The end of the string at @p; NULL: it has none. */
static const char *json_skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		p += *p == '\\';
	return p < end ? p + 1 : NULL;
}

static const char *json_skip_scalar(const char *p, const char *end)
{
	while (p < end && !strchr(",]} \t\n\r:", *p))
		p++;
	return p;
}

/* The end of the value at @p; NULL: the text ends first. */
static const char *json_skip_value(const char *p, const char *end)
{
	size_t depth = 0;

	if (p < end && !strchr("{[\"", *p))
		return json_skip_scalar(p, end);
	while (p && p < end) {
		if (*p == '"')
			p = json_skip_string(p, end);
		else if (*p == '{' || *p == '[')
			depth++, p++;
		else if (*p == '}' || *p == ']')
			depth--, p++;
		else
			p++;
		if (p && !depth)
			return p;
	}
	return NULL;
}

static struct json_text json_value_at(const char *p, const char *end)
{
	struct json_text v = { .p = json_skip_space(p, end) };

	v.end = json_skip_value(v.p, end);
	return v.end && v.end > v.p ? v : (struct json_text){ 0 };
}

struct json_text json_text_of(const char *buf, size_t len)
{
	return json_value_at(buf, buf + len);
}

/* The value after the one that ends at @p, which @separator follows */
static struct json_text json_value_after(const char *p, const char *end, char separator)
{
	p = json_skip_space(p, end);
	return p < end && *p == separator ? json_value_at(p + 1, end) : (struct json_text){ 0 };
}

bool json_text_next(struct json_text array, struct json_text *element)
{
	if (!array.p || *array.p != '[')
		return false;
	*element = element->p ? json_value_after(element->end, array.end, ',')
			      : json_value_at(array.p + 1, array.end);
	return element->p;
}

bool json_text_next_member(struct json_text object, struct json_text *key, struct json_text *value)
{
	if (!object.p || *object.p != '{')
		return false;
	*key = value->p ? json_value_after(value->end, object.end, ',')
			: json_value_at(object.p + 1, object.end);
	*value = (struct json_text){ 0 };
	if (key->p && *key->p == '"')
		*value = json_value_after(key->end, object.end, ':');
	return value->p;
}

struct json_text json_text_member(struct json_text object, const char *key)
{
	const size_t len = strlen(key);
	struct json_text k, v = { 0 };

	while (json_text_next_member(object, &k, &v)) {
		if ((size_t)(k.end - k.p) == len + 2 && !memcmp(k.p + 1, key, len))
			return v;
	}
	return (struct json_text){ 0 };
}

struct json_text json_text_at(struct json_text object, const char *const *keys)
{
	while (*keys)
		object = json_text_member(object, *keys++);
	return object;
}

bool json_text_is_string(struct json_text v)
{
	return v.p && *v.p == '"';
}

bool json_text_is_true(struct json_text v)
{
	return v.p && v.end - v.p == 4 && !memcmp(v.p, "true", 4);
}

bool json_text_u64(struct json_text v, uint64_t *ret)
{
	uint64_t n = 0;

	if (!v.p || v.end == v.p)
		return false;
	for (const char *p = v.p; p < v.end; p++) {
		const unsigned int digit = (unsigned int)(*p - '0');

		if (digit > 9 || n > (UINT64_MAX - digit) / 10)
			return false;
		n = 10 * n + digit;
	}
	*ret = n;
	return true;
}

bool json_text_bytes(struct json_text array, unsigned char *buf, size_t size)
{
	struct json_text e = { 0 };
	size_t num = 0;
	uint64_t value;

	for (; json_text_next(array, &e); num++) {
		if (num == size || !json_text_u64(e, &value) || value > 255)
			return false;
		buf[num] = (unsigned char)value;
	}
	return num == size;
}

static unsigned int json_hex(const char *p)
{
	char digits[5] = "";

	memcpy(digits, p, 4);
	return (unsigned int)strtoul(digits, NULL, 16);
}

/* The character that the escape at @p is; @p: its end */
static char json_unescape(const char **p, const char *end)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char c = *(*p)++;
	const char *at = c ? strchr(from, c) : NULL;
	unsigned int code;

	if (at)
		return to[at - from];
	if (c != 'u' || end - *p < 4)
		return c;
	code = json_hex(*p);
	*p += 4;
	return code && code < 128 ? (char)code : '?';
}

char *json_text_string(struct json_text v)
{
	char *text, *to;

	if (!json_text_is_string(v))
		return NULL;
	text = to = malloc((size_t)(v.end - v.p));
	for (const char *p = v.p + 1, *end = v.end - 1; text && p < end;) {
		if (*p == '\\' && ++p < end)
			*to++ = json_unescape(&p, end);
		else if (p < end)
			*to++ = *p++;
	}
	if (to)
		*to = '\0';
	return text;
}
