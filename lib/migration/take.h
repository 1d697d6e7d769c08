/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/take.h - taking an element of a migration stream apart
 *
 * Theory of operation.  A stream is a row of elements: a section's header, a footer, a
 * page and so on, none longer than ELEMENT_MAX.  m->next is the function that parses the
 * next one.  It takes the bytes in order, with the functions below, and at its end says
 * what follows by setting m->next.
 *
 * When bytes are missing, take returns NULL or 0 from then on, and stream_is_short() is
 * true.  The function then returns NULL at once and changes nothing in @m that another
 * call would not change in the same way, as it is called again, with the same bytes and
 * more.  So it needs no memory of where it was.
 */
#pragma once

#include "../util/be.h"
#include "migration.h"

enum { ELEMENT_MAX = 128 << 10 };

static inline bool stream_is_short(const struct migration *m)
{
	return m->need;
}

/* The next @n bytes; valid as long as the element is parsed. */
static inline const unsigned char *stream_take(struct migration *m, size_t n)
{
	if (m->need)
		return NULL;
	if (m->len - m->used < n) {
		m->need = m->used + n;
		return NULL;
	}
	m->used += n;
	return m->p + m->used - n;
}

uint8_t stream_take_u8(struct migration *m);
uint32_t stream_take_u32(struct migration *m);
uint64_t stream_take_u64(struct migration *m);
/* A byte of length and as many characters; @name has room for 256. */
MUST_CHECK struct gdump_error *stream_take_name(struct migration *m, char *name);
/* The next @n bytes, which remain to be taken.  NULL: stream_is_short(), or the stream ends
 * before them.
 */
const unsigned char *stream_peek(struct migration *m, size_t n);

/* Whether these may be the characters of a name */
bool stream_is_name(const unsigned char *p, size_t len);

/* Errors with the offset in the stream of what is taken next */
MUST_CHECK struct gdump_error *stream_corrupt(const struct migration *m, const char *fmt, ...)
	PRINTF(2, 3);
MUST_CHECK struct gdump_error *stream_unsupported(const struct migration *m, const char *fmt, ...)
	PRINTF(2, 3);

/* Elements: the first of a stream (sections.c), those of the RAM (ram.c), and the footer
 * after each section
 */
struct gdump_error *stream_next_magic(struct migration *m);
struct gdump_error *stream_next_ram(struct migration *m);
struct gdump_error *stream_next_footer(struct migration *m);
