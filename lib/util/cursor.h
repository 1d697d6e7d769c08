/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cursor.h - read or write a header field by field
 *
 * A cursor knows the byte order and word size of the dump, and cannot leave its buffer.
 * Once a field does not fit, ->bad is set, gets return 0 and puts do nothing; so check ->bad
 * once, at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	unsigned char *p, *end;
	bool big, is64, bad;
};

static inline struct cursor cursor_init(const void *buf, size_t len, bool big, bool is64)
{
	unsigned char *p = (unsigned char *)(uintptr_t)buf;

	return (struct cursor){ .p = p, .end = p + len, .big = big, .is64 = is64 };
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

/* Advance over @n bytes, and return them; NULL (and ->bad): they do not fit. */
static inline unsigned char *cursor_take(struct cursor *c, size_t n)
{
	if (c->bad || cursor_left(c) < n) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	return c->p - n;
}

static inline void put_uint(struct cursor *c, uint64_t v, unsigned int n)
{
	unsigned char *p = cursor_take(c, n);

	for (unsigned int i = 0; p && i < n; i++)
		p[c->big ? n - 1 - i : i] = (unsigned char)(v >> 8 * i);
}

static inline uint64_t get_uint(struct cursor *c, unsigned int n)
{
	const unsigned char *p = cursor_take(c, n);
	uint64_t v = 0;

	for (unsigned int i = 0; p && i < n; i++)
		v |= (uint64_t)p[c->big ? n - 1 - i : i] << 8 * i;
	return v;
}

static inline void put_u8(struct cursor *c, uint8_t v) { put_uint(c, v, 1); }
static inline void put_u16(struct cursor *c, uint16_t v) { put_uint(c, v, 2); }
static inline void put_u32(struct cursor *c, uint32_t v) { put_uint(c, v, 4); }
static inline void put_u64(struct cursor *c, uint64_t v) { put_uint(c, v, 8); }
/* 4 or 8 bytes, by the word size of the dump */
static inline void put_word(struct cursor *c, uint64_t v) { put_uint(c, v, c->is64 ? 8 : 4); }

static inline uint8_t get_u8(struct cursor *c) { return (uint8_t)get_uint(c, 1); }
static inline uint16_t get_u16(struct cursor *c) { return (uint16_t)get_uint(c, 2); }
static inline uint32_t get_u32(struct cursor *c) { return (uint32_t)get_uint(c, 4); }
static inline uint64_t get_u64(struct cursor *c) { return get_uint(c, 8); }
static inline uint64_t get_word(struct cursor *c) { return get_uint(c, c->is64 ? 8 : 4); }

static inline void put_bytes(struct cursor *c, const void *src, size_t n)
{
	unsigned char *p = cursor_take(c, n);

	if (p && n)
		memcpy(p, src, n);
}

static inline void get_bytes(struct cursor *c, void *dst, size_t n)
{
	const unsigned char *p = cursor_take(c, n);

	if (p && n)
		memcpy(dst, p, n);
	else if (n)
		memset(dst, 0, n);
}

static inline void put_zeros(struct cursor *c, size_t n)
{
	unsigned char *p = cursor_take(c, n);

	if (p && n)
		memset(p, 0, n);
}
