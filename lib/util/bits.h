/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * bits.h - rounding, checked sums, bit arrays and the zero test
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

static inline bool is_power_of_2(uint64_t n)
{
	return n && !(n & (n - 1));
}

static inline uint64_t div_up(uint64_t n, uint64_t d)
{
	return n / d + !!(n % d);
}

/* Round to a multiple of @to, a power of two.  round_up() may wrap to 0. */
static inline uint64_t round_down(uint64_t n, uint64_t to)
{
	return n & ~(to - 1);
}

static inline uint64_t round_up(uint64_t n, uint64_t to)
{
	return round_down(n + to - 1, to);
}

/* Whether [off, off + len) lies inside [0, size) */
static inline bool range_fits(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

static inline unsigned int log2_u64(uint64_t n)
{
	return 63 - (unsigned int)__builtin_clzll(n);
}

static inline bool bit_test(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> i % 64 & 1;
}

static inline void bit_set(uint64_t *bits, uint64_t i)
{
	bits[i / 64] |= (uint64_t)1 << i % 64;
}

static inline void bit_clear(uint64_t *bits, uint64_t i)
{
	bits[i / 64] &= ~((uint64_t)1 << i % 64);
}

/* Whether @len bytes (a multiple of 64, 8-aligned or not) are all zero. */
static inline bool is_zero(const void *buf, size_t len)
{
	typedef uint64_t vec __attribute__((vector_size(32)));
	const unsigned char *p = buf, *end = p + len;
	vec a, b;

	for (; p < end; p += 64) {
		memcpy(&a, p, 32);
		memcpy(&b, p + 32, 32);
		a |= b;
		if (a[0] | a[1] | a[2] | a[3])
			return false;
	}
	return true;
}
