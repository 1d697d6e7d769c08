/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include "util/array.h"
#include "util/be.h"
#include "util/bisect.h"

static void test_grow(void)
{
	size_t *array = NULL;

	for (size_t num = 0; num < 1000; num++) {
		if (!CHECK(ARRAY_GROW(array, num)))
			break;
		array[num] = num;
	}
	for (size_t i = 0; i < 1000; i++)
		CHECK_INT(array[i], i);
	free(array);
}

/* After elements were taken away there is still room for one more. */
static void test_grow_after_shrink(void)
{
	unsigned char *array = NULL;
	size_t num = 0;

	for (size_t round = 1; round < 200; round++) {
		for (size_t i = 0; i < round && CHECK(ARRAY_GROW(array, num)); i++)
			array[num++] = (unsigned char)round;
		num = round % 3 ? num / 2 : 0;
	}
	free(array);
}

static void test_grow_too_large(void)
{
	uint64_t first = 7, *array = &first;

	CHECK(!ARRAY_GROW(array, (size_t)1 << 60));
	CHECK(!ARRAY_GROW(array, (size_t)1 << 63));
	CHECK(array == &first && first == 7);
}

static void test_bisect(void)
{
	static const int sorted[] = { 1, 3, 3, 3, 7, 9 };

	CHECK_INT(BISECT(6, i, sorted[i] >= 0), 0);
	CHECK_INT(BISECT(6, i, sorted[i] >= 1), 0);
	CHECK_INT(BISECT(6, i, sorted[i] >= 2), 1);
	CHECK_INT(BISECT(6, i, sorted[i] >= 3), 1);
	CHECK_INT(BISECT(6, i, sorted[i] > 3), 4);
	CHECK_INT(BISECT(6, i, sorted[i] >= 9), 5);
	CHECK_INT(BISECT(6, i, sorted[i] >= 10), 6);
	CHECK_INT(BISECT(0, i, sorted[i] >= 0), 0);
}

/* Every length, and every place of the first true one */
static void test_bisect_all(void)
{
	for (size_t num = 0; num < 40; num++) {
		for (size_t first = 0; first <= num; first++)
			CHECK_INT(BISECT(num, i, i >= first), first);
	}
}

static void test_big_endian(void)
{
	static const unsigned char bytes[] = { 0xff, 0x81, 2, 3, 4, 5, 6, 7, 0xf8 };

	CHECK_INT(load_be16(bytes + 1), 0x8102);
	CHECK_INT(load_be32(bytes + 1), 0x81020304);
	CHECK(load_be64(bytes + 1) == 0x81020304050607f8);
}

int main(void)
{
	test_grow();
	test_grow_after_shrink();
	test_grow_too_large();
	test_bisect();
	test_bisect_all();
	test_big_endian();
	return check_done();
}
