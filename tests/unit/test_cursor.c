/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include "util/bits.h"
#include "util/cursor.h"

static void test_byte_order(void)
{
	unsigned char buf[15];
	struct cursor little = cursor_init(buf, sizeof(buf), false, true);
	struct cursor big = cursor_init(buf, sizeof(buf), true, true);

	put_u8(&little, 0x01);
	put_u16(&little, 0x0203);
	put_u32(&little, 0x04050607);
	put_u64(&little, 0x08090a0b0c0d0e0f);
	CHECK(!little.bad && !cursor_left(&little));
	CHECK(!memcmp(buf, "\x01\x03\x02\x07\x06\x05\x04\x0f\x0e\x0d\x0c\x0b\x0a\x09\x08", 15));
	CHECK_INT(get_u8(&big), 0x01);
	CHECK_INT(get_u16(&big), 0x0302);
	CHECK_INT(get_u32(&big), 0x07060504);
	CHECK_INT(get_u64(&big), 0x0f0e0d0c0b0a0908);
	CHECK(!big.bad);
}

static void test_word_size(void)
{
	unsigned char buf[12] = { 0 };
	struct cursor c = cursor_init(buf, sizeof(buf), true, false);

	put_word(&c, 0x1122334455667788);
	CHECK_INT(cursor_left(&c), 8);
	CHECK(!memcmp(buf, "\x55\x66\x77\x88", 4));
	c = cursor_init(buf, sizeof(buf), true, true);
	CHECK_INT(get_word(&c), 0x5566778800000000);
	CHECK_INT(cursor_left(&c), 4);
}

/* What does not fit is 0 and leaves the flag up; nothing behind is touched. */
static void test_end(void)
{
	unsigned char buf[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, copy[4] = { 9, 9, 9, 9 };
	struct cursor c = cursor_init(buf, 6, false, true);

	CHECK_INT(get_u32(&c), 0x04030201);
	CHECK_INT(get_u32(&c), 0);
	CHECK(c.bad);
	CHECK_INT(get_u8(&c), 0);
	get_bytes(&c, copy, sizeof(copy));
	CHECK(!memcmp(copy, "\0\0\0\0", 4));
	c = cursor_init(buf, 6, false, true);
	put_u64(&c, 0);
	CHECK(c.bad);
	put_bytes(&c, "xy", 2);
	put_zeros(&c, 2);
	CHECK_INT(buf[0], 1);
	c = cursor_init(buf, 6, false, true);
	CHECK(!cursor_take(&c, SIZE_MAX));
	CHECK(c.bad);
}

static void test_bytes(void)
{
	unsigned char buf[6] = { 1, 2, 3, 4, 5, 6 }, copy[2];
	struct cursor c = cursor_init(buf, sizeof(buf), false, true);

	put_bytes(&c, "ab", 2);
	put_zeros(&c, 2);
	put_bytes(&c, NULL, 0);
	get_bytes(&c, copy, 2);
	CHECK(!c.bad && !memcmp(buf, "ab\0\0\5\6", 6) && !memcmp(copy, "\5\6", 2));
}

int main(void)
{
	test_byte_order();
	test_word_size();
	test_end();
	test_bytes();
	return check_done();
}
