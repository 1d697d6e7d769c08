/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/take.c - taking an element of a migration stream apart
 */
#include "take.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../util/bits.h"

static struct gdump_error *stream_error(const struct migration *m, enum gdump_code code,
					const char *fmt, va_list args)
{
	char what[512];

	vsnprintf(what, sizeof(what), fmt, args);
	return error_new(code, "migration stream at offset %" PRIu64 ": %s", migration_pos(m), what);
}

struct gdump_error *stream_corrupt(const struct migration *m, const char *fmt, ...)
{
	struct gdump_error *err;
	va_list args;

	va_start(args, fmt);
	err = stream_error(m, GDUMP_ERR_CORRUPT, fmt, args);
	va_end(args);
	return err;
}

struct gdump_error *stream_unsupported(const struct migration *m, const char *fmt, ...)
{
	struct gdump_error *err;
	va_list args;

	va_start(args, fmt);
	err = stream_error(m, GDUMP_ERR_UNSUPPORTED, fmt, args);
	va_end(args);
	return err;
}

const unsigned char *stream_peek(struct migration *m, size_t n)
{
	if (m->at_end && m->len - m->used < n)
		return NULL;
	if (!stream_take(m, n))
		return NULL;
	m->used -= n;
	return m->p + m->used;
}

uint8_t stream_take_u8(struct migration *m)
{
	const unsigned char *p = stream_take(m, 1);

	return p ? *p : 0;
}

uint32_t stream_take_u32(struct migration *m)
{
	const unsigned char *p = stream_take(m, 4);

	return p ? load_be32(p) : 0;
}

uint64_t stream_take_u64(struct migration *m)
{
	const unsigned char *p = stream_take(m, 8);

	return p ? load_be64(p) : 0;
}

bool stream_is_name(const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] < ' ' || p[i] > '~')
			return false;
	}
	return len > 0;
}

struct gdump_error *stream_take_name(struct migration *m, char *name)
{
	const uint8_t len = stream_take_u8(m);
	const unsigned char *p = stream_take(m, len);

	if (!p)
		return NULL;
	if (!stream_is_name(p, len))
		return stream_corrupt(m, "a name was expected in front of this offset");
	memcpy(name, p, len);
	name[len] = 0;
	return NULL;
}

/* Footers ----------------------------------------------------------------- */

/* Whether a section may begin with these bytes, of which there are at least
 * STREAM_PROOF unless the stream ends before.
 */
static bool is_section(const unsigned char *p, size_t len)
{
	if (!len)
		return true;
	switch (p[0]) {
	case STREAM_EOF:
		return len < 2 || p[1] == STREAM_DESCRIPTION;
	case STREAM_START: case STREAM_FULL:
		return len >= 8 && p[5] && stream_is_name(p + 6, MIN((size_t)p[5], len - 6));
	case STREAM_PART: case STREAM_END:
		return len >= 5 && !p[1] && !p[2];
	case STREAM_COMMAND:
		return len >= 5 && !p[1];
	default:
		return false;
	}
}

size_t migration_find_footer(const unsigned char *buf, size_t len, uint32_t id, bool at_end)
{
	const unsigned char want[4] = {
		(unsigned char)(id >> 24), (unsigned char)(id >> 16),
		(unsigned char)(id >> 8), (unsigned char)id,
	};
	const unsigned char *end = buf + len, *p = buf;

	while ((p = memchr(p, STREAM_FOOTER, (size_t)(end - p)))) {
		const size_t left = (size_t)(end - p);

		if (left < STREAM_FOOTER_SIZE + (at_end ? 0 : STREAM_PROOF))
			break;
		if (!memcmp(p + 1, want, sizeof(want)) &&
		    is_section(p + STREAM_FOOTER_SIZE, left - STREAM_FOOTER_SIZE))
			return (size_t)(p - buf);
		p++;
	}
	return len;
}
