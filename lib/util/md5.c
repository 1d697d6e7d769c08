/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * md5.c - as RFC 1321 describes it
 */
#include "md5.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 64 };

/* floor(2^32 * abs(sin(i + 1))) */
static const uint32_t md5_sines[64] = {
	0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
	0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
	0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
	0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
	0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
	0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
	0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
	0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static const unsigned char md5_shifts[4][4] = {
	{ 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 },
};

static uint32_t md5_word(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t md5_mix(unsigned int round, uint32_t b, uint32_t c, uint32_t d)
{
	switch (round) {
	case 0: return d ^ (b & (c ^ d));
	case 1: return c ^ (d & (b ^ c));
	case 2: return b ^ c ^ d;
	default: return c ^ (b | ~d);
	}
}

static void md5_block(uint32_t state[4], const unsigned char *p)
{
	static const unsigned char factor[4] = { 1, 5, 3, 7 }, first[4] = { 0, 1, 5, 0 };
	uint32_t words[16], a = state[0], b = state[1], c = state[2], d = state[3];

	for (unsigned int i = 0; i < 16; i++)
		words[i] = md5_word(p + 4 * i);
	for (unsigned int i = 0; i < 64; i++) {
		const unsigned int round = i / 16, shift = md5_shifts[round][i % 4];
		const uint32_t sum = a + md5_mix(round, b, c, d) + md5_sines[i] +
				     words[(factor[round] * i + first[round]) % 16];

		a = d;
		d = c;
		c = b;
		b += sum << shift | sum >> (32 - shift);
	}
	state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

void md5(const void *buf, size_t len, unsigned char ret[MD5_SIZE])
{
	uint32_t state[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
	const unsigned char *p = buf;
	const uint64_t bits = (uint64_t)len * 8;
	unsigned char end[2 * BLOCK] = { 0 };
	size_t rest = len % BLOCK, end_len = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;

	for (; len >= BLOCK; p += BLOCK, len -= BLOCK)
		md5_block(state, p);
	if (rest)
		memcpy(end, p, rest);
	end[rest] = 0x80;
	for (unsigned int i = 0; i < 8; i++)
		end[end_len - 8 + i] = (unsigned char)(bits >> 8 * i);
	for (size_t at = 0; at < end_len; at += BLOCK)
		md5_block(state, end + at);
	for (unsigned int i = 0; i < MD5_SIZE; i++)
		ret[i] = (unsigned char)(state[i / 4] >> 8 * (i % 4));
}

struct md5_hex md5_to_hex(const unsigned char digest[MD5_SIZE])
{
	struct md5_hex ret;

	for (unsigned int i = 0; i < MD5_SIZE; i++)
		snprintf(ret.text + 2 * i, 3, "%02x", digest[i]);
	return ret;
}

struct md5_base64 md5_to_base64(const unsigned char digest[MD5_SIZE])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct md5_base64 ret = { "" };

	for (unsigned int i = 0, o = 0; i < MD5_SIZE; i += 3, o += 4) {
		const uint32_t n = (uint32_t)digest[i] << 16 |
				   (i + 1 < MD5_SIZE ? (uint32_t)digest[i + 1] << 8 : 0) |
				   (i + 2 < MD5_SIZE ? digest[i + 2] : 0u);

		for (unsigned int k = 0; k < 4; k++)
			ret.text[o + k] = i + k <= MD5_SIZE ? digits[n >> (18 - 6 * k) & 63] : '=';
	}
	return ret;
}
