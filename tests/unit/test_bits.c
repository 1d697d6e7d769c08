/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include "util/bits.h"

static void test_rounding(void)
{
	CHECK_INT(div_up(0, 8), 0);
	CHECK_INT(div_up(1, 8), 1);
	CHECK_INT(div_up(8, 8), 1);
	CHECK_INT(div_up(9, 8), 2);
	CHECK_INT(div_up(UINT64_MAX, 2), (uint64_t)1 << 63);
	CHECK_INT(div_up(UINT64_MAX, 1), UINT64_MAX);
	CHECK_INT(round_down(4097, 4096), 4096);
	CHECK_INT(round_up(4096, 4096), 4096);
	CHECK_INT(round_up(4097, 4096), 8192);
	CHECK_INT(round_up(UINT64_MAX, 4096), 0);
	CHECK(is_power_of_2(1) && is_power_of_2((uint64_t)1 << 63));
	CHECK(!is_power_of_2(0) && !is_power_of_2(3) && !is_power_of_2(UINT64_MAX));
	CHECK_INT(log2_u64(1), 0);
	CHECK_INT(log2_u64(UINT64_MAX), 63);
}

static void test_range_fits(void)
{
	CHECK(range_fits(0, 0, 0));
	CHECK(range_fits(10, 0, 10));
	CHECK(!range_fits(11, 0, 10));
	CHECK(range_fits(4, 6, 10));
	CHECK(!range_fits(4, 7, 10));
	CHECK(!range_fits(4, UINT64_MAX, 10));
	CHECK(!range_fits(UINT64_MAX, 2, 10));
	CHECK(range_fits(0, UINT64_MAX, UINT64_MAX));
}

static void test_bit_arrays(void)
{
	uint64_t bits[3] = { 0 };

	for (unsigned int i = 0; i < 192; i += 5)
		bit_set(bits, i);
	for (unsigned int i = 0; i < 192; i++)
		CHECK_INT(bit_test(bits, i), i % 5 == 0);
	for (unsigned int i = 0; i < 192; i += 5)
		bit_clear(bits, i);
	CHECK(!bits[0] && !bits[1] && !bits[2]);
}

/* Each single byte counts, wherever the buffer begins. */
static void test_is_zero(void)
{
	unsigned char buf[256 + 64 + 1] = { 0 };

	for (size_t at = 0; at <= 64; at++) {
		CHECK(is_zero(buf + at, 256));
		CHECK(is_zero(buf + at, 0));
		for (size_t i = 0; i < 256; i++) {
			buf[at + i] = i % 2 ? 0x80 : 0x01;
			CHECK(!is_zero(buf + at, 256));
			buf[at + i] = 0;
		}
		buf[at + 256] = 1;
		if (at)
			buf[at - 1] = 1;
		CHECK(is_zero(buf + at, 256));
		memset(buf, 0, sizeof(buf));
	}
}

int main(void)
{
	test_rounding();
	test_range_fits();
	test_bit_arrays();
	test_is_zero();
	return check_done();
}
