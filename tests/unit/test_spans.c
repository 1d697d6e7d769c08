/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_spans.c - sets of bytes
 */
#include "check.h"

#include "util/spans.h"

static void test_order(void)
{
	CLEANUP_SPANS struct spans s = { 0 };

	CHECK(!spans_touch(&s, 0, UINT64_MAX));
	CHECK(spans_add(&s, 100, 0));
	CHECK_INT(s.num, 0);
	CHECK(spans_add(&s, 200, 10));
	CHECK(spans_add(&s, 210, 10));
	CHECK_INT(s.num, 1);
	CHECK(spans_add(&s, 100, 10));
	CHECK(spans_add(&s, 105, 20));
	CHECK(spans_add(&s, 0, 1));
	CHECK(spans_add(&s, UINT64_MAX - 4, 5));
	CHECK(spans_add(&s, 108, 1));
	spans_sort(&s);
	CHECK_INT(s.num, 4);
	CHECK_INT(s.list[0].start, 0);
	CHECK_INT(s.list[1].start, 100);
	CHECK_INT(s.list[1].size, 25);
	CHECK_INT(s.list[2].start, 200);
	CHECK_INT(s.list[2].size, 20);
	CHECK(s.list[3].start == UINT64_MAX - 4);
}

static void test_touch(void)
{
	CLEANUP_SPANS struct spans s = { 0 };

	CHECK(spans_add(&s, 10, 10) && spans_add(&s, 30, 10));
	CHECK(!spans_touch(&s, 0, 10));
	CHECK(spans_touch(&s, 0, 11));
	CHECK(spans_touch(&s, 19, 1));
	CHECK(!spans_touch(&s, 20, 10));
	CHECK(spans_touch(&s, 20, 11));
	CHECK(!spans_touch(&s, 15, 0));
	CHECK(!spans_touch(&s, 40, UINT64_MAX - 40));
	CHECK(spans_touch(&s, 0, UINT64_MAX));
	CHECK_INT(spans_from(&s, 19), 0);
	CHECK_INT(spans_from(&s, 20), 1);
	CHECK_INT(spans_from(&s, 40), 2);
}

int main(void)
{
	test_order();
	test_touch();
	return check_done();
}
