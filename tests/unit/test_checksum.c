/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_checksum.c - what is behind the end of our dumps
 */
#include "check.h"
#include "random.h"

#include <endian.h>
#include <libdeflate.h>
#include <stdlib.h>

#include "checksum.h"

enum {
	MIB = 1 << 20, SIZE = 2 * MIB + 12345, FOOTER = 64, REGION = 4096,
	REGIONS = (SIZE + REGION - 1) / REGION,
};

static unsigned char file[SIZE + REGIONS * 4 + FOOTER];
static uint64_t seed = 1;

/* Put the checksum of pieces of about @step bytes behind the file. */
static void put_checksum(size_t step, bool backwards)
{
	struct checksum *c = checksum_create(SIZE);
	const size_t num = (SIZE + step - 1) / step;
	void *end = NULL;
	size_t len = 0;

	for (size_t i = 0; i < num; i++) {
		const size_t off = (backwards ? num - 1 - i : i) * step;
		const size_t n = off + step > SIZE ? SIZE - off : step;

		/* what is a hole in the file is never written */
		if (off >= MIB + 100 && off + n <= MIB + 900000)
			continue;
		CHECK(checksum_add(c, off, file + off, n));
	}
	CHECK_OK(checksum_finish(c, SIZE, &end, &len));
	CHECK_INT(len, sizeof(file) - SIZE);
	memcpy(file + SIZE, end, len);
	free(end);
	checksum_destroy(c);
}

static void check_good(void)
{
	CLEANUP_SPANS struct spans broken = { 0 };
	struct bytes *in;
	bool there = false;

	CHECK_OK(bytes_memory_open(file, sizeof(file), &in));
	CHECK_OK(checksum_verify(in, 2, &broken, &there));
	CHECK(there);
	CHECK_INT(broken.num, 0);
	bytes_close(in);
}

static void check_broken(size_t len, const char *why)
{
	CLEANUP_SPANS struct spans broken = { 0 };
	struct bytes *in;
	bool there = false;

	CHECK_OK(bytes_memory_open(file, len, &in));
	CHECK_ERR(checksum_verify(in, 2, &broken, &there), GDUMP_ERR_CORRUPT, why);
	bytes_close(in);
}

/* The order and size of the pieces make no difference. */
static void test_pieces(void)
{
	static const size_t steps[] = { SIZE, MIB, 4096, 65536, 3, 1000003 };
	static unsigned char first[sizeof(file) - SIZE];

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		for (int backwards = 0; backwards < 2; backwards++) {
			put_checksum(steps[i], backwards);
			if (!i)
				memcpy(first, file + SIZE, sizeof(first));
			CHECK(!memcmp(first, file + SIZE, sizeof(first)));
			check_good();
		}
	}
}

/* It is the CRC that others compute, but for the inversions and the padding. */
static void test_is_crc32(void)
{
	static unsigned char last[REGION];
	uint32_t crc;

	memcpy(last, file + (REGIONS - 1) * REGION, SIZE - (REGIONS - 1) * REGION);
	put_checksum(4096, false);
	crc = ~libdeflate_crc32(UINT32_MAX, last, REGION);
	for (int i = 0; i < 4; i++)
		CHECK_INT(file[SIZE + 4 * (REGIONS - 1) + i], crc >> 8 * i & 0xff);
}

static void flip(size_t byte, unsigned int bit, const char *why)
{
	file[byte] ^= (unsigned char)(1 << bit);
	check_broken(sizeof(file), why);
	file[byte] ^= (unsigned char)(1 << bit);
}

static void test_flips(void)
{
	static const size_t edges[] = { 0, 1, MIB - 1, MIB, MIB + 500000, 2 * MIB - 1, 2 * MIB,
					SIZE - 1 };

	put_checksum(4096, false);
	for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++)
		for (unsigned int bit = 0; bit < 8; bit++)
			flip(edges[i], bit, "checksum mismatch");
	for (size_t at = SIZE; at < sizeof(file); at++)
		for (unsigned int bit = 0; bit < 8; bit++)
			flip(at, bit, "the checksum trailer is broken");
	for (int i = 0; i < 500; i++)
		flip(random_below(&seed, SIZE), (unsigned int)random_below(&seed, 8), "checksum mismatch");
	check_good();
}

/* Which regions are broken is reported. */
static void test_where(void)
{
	static const size_t flipped[] = { 3 * REGION, 4 * REGION + 17, MIB + 5, SIZE - 1 };
	CLEANUP_SPANS struct spans broken = { 0 };
	struct bytes *in;
	bool there;

	put_checksum(4096, false);
	for (size_t i = 0; i < 4; i++)
		file[flipped[i]] ^= 0x10;
	CHECK_OK(bytes_memory_open(file, sizeof(file), &in));
	CHECK_ERR(checksum_verify(in, 2, &broken, &there), GDUMP_ERR_CORRUPT,
		  "mismatch in bytes 12288-20479 and in others");
	CHECK_INT(broken.num, 3);
	CHECK_INT(broken.list[0].size, 2 * REGION);
	CHECK_INT(broken.list[1].start, MIB);
	CHECK_INT(broken.list[1].size, REGION);
	CHECK_INT(broken.list[2].start, (REGIONS - 1) * REGION);
	CHECK_INT(broken.list[2].size, SIZE - (REGIONS - 1) * REGION);
	bytes_close(in);
	for (size_t i = 0; i < 4; i++)
		file[flipped[i]] ^= 0x10;
}

/* What version 1 of the format had at the end: a CRC for each MiB */
static void test_version_1(void)
{
	static unsigned char padded[MIB], old[SIZE + 3 * 4 + FOOTER];
	unsigned char *footer = old + SIZE + 3 * 4;
	CLEANUP_SPANS struct spans broken = { 0 };
	struct bytes *in;
	uint32_t crc;
	bool there;

	memcpy(old, file, SIZE);
	for (size_t i = 0; i < 3; i++) {
		const size_t len = i < 2 ? MIB : SIZE - 2 * MIB;

		memset(padded, 0, sizeof(padded));
		memcpy(padded, old + i * MIB, len);
		crc = ~libdeflate_crc32(UINT32_MAX, padded, MIB);
		memcpy(old + SIZE + 4 * i, &(uint32_t){ htole32(crc) }, 4);
	}
	memcpy(footer, "GDUMPSUM", 8);
	memcpy(footer + 8, &(uint32_t){ htole32(1) }, 4);
	memcpy(footer + 12, &(uint32_t){ htole32(MIB) }, 4);
	memcpy(footer + 16, &(uint64_t){ htole64(SIZE) }, 8);
	memcpy(footer + 24, &(uint64_t){ htole64(3) }, 8);
	crc = libdeflate_crc32(0, old + SIZE, 12);
	memcpy(footer + 56, &(uint32_t){ htole32(crc) }, 4);
	crc = libdeflate_crc32(0, footer, 60);
	memcpy(footer + 60, &(uint32_t){ htole32(crc) }, 4);
	CHECK_OK(bytes_memory_open(old, sizeof(old), &in));
	CHECK_OK(checksum_verify(in, 2, &broken, &there));
	CHECK(there);
	old[MIB + 1] ^= 1;
	CHECK_ERR(checksum_verify(in, 2, &broken, &there), GDUMP_ERR_CORRUPT,
		  "mismatch in bytes 1048576-2097151:");
	bytes_close(in);
}

/* No footer, no checksum; and nothing in it is believed. */
static void test_other_ends(void)
{
	CLEANUP_SPANS struct spans broken = { 0 };
	struct bytes *in;
	bool there;

	put_checksum(4096, false);
	for (size_t len = 0; len < sizeof(file); len += len < 100 ? 1 : 9973) {
		CHECK_OK(bytes_memory_open(file, len, &in));
		CHECK_OK(checksum_verify(in, 1, &broken, &there));
		CHECK(!there);
		bytes_close(in);
	}
	/* the end of another file */
	CHECK_OK(bytes_memory_open(file + 4096, sizeof(file) - 4096, &in));
	CHECK_ERR(checksum_verify(in, 1, &broken, &there), GDUMP_ERR_CORRUPT, "trailer is for a file of");
	bytes_close(in);
}

int main(void)
{
	for (size_t i = 0; i < SIZE; i++)
		file[i] = (unsigned char)random_below(&seed, 256);
	memset(file + MIB + 100, 0, 900000 - 100);
	test_pieces();
	test_is_crc32();
	test_flips();
	test_where();
	test_version_1();
	test_other_ends();
	return check_done();
}
