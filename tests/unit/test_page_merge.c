/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_page_merge.c - pages whose parts come in any order
 */
#include <stdlib.h>

#include "check.h"
#include "live/page_merge.h"
#include "random.h"

enum { PART = 4096, PAGE = 16 * PART, PAGES = 20, PARTS = PAGES * PAGE / PART };

static void fill(unsigned char *part, size_t i)
{
	memset(part, i % 3 ? (int)(i % 251 + 1) : 0, PART);
}

static void check_page(const unsigned char *page, size_t first)
{
	unsigned char part[PART];

	for (size_t i = first; i < first + PAGE / PART; i++, page += PART) {
		fill(part, i);
		CHECK(!memcmp(page, part, PART));
	}
}

/* @again: that many parts come twice */
static void test_any_order(uint64_t seed, size_t again)
{
	struct page_merge a = { .page_size = PAGE, .part_size = PART };
	size_t order[PARTS + PARTS], num = 0, whole = 0;
	unsigned char part[PART];
	const void *page;

	for (size_t i = 0; i < PARTS; i++)
		order[num++] = i;
	for (size_t i = num - 1; seed && i; i--) {
		const size_t k = (size_t)random_below(&seed, i + 1), was = order[i];

		order[i] = order[k];
		order[k] = was;
	}
	/* the last one of each stays the last one */
	memmove(order + again, order, num * sizeof(*order));
	num += again;
	for (size_t i = 0; i < num; i++) {
		const size_t n = order[i];

		fill(part, n);
		CHECK_OK(page_merge_add(&a, (uint64_t)n * PART, n % 3 ? part : NULL, &page));
		if (!page)
			continue;
		whole++;
		check_page(page, n / (PAGE / PART) * (PAGE / PART));
	}
	CHECK_INT(whole, PAGES);
	CHECK_INT(a.num, 0);
	page_merge_deinit(&a);
}

/* What is kept is bounded. */
static void test_too_many(void)
{
	struct page_merge a = { .page_size = 1 << 28, .part_size = 1 << 22 };
	static unsigned char part[1 << 22];
	const void *page;

	for (uint64_t i = 0; i < 4; i++)
		CHECK_OK(page_merge_add(&a, i << 28, part, &page));
	CHECK_ERR(page_merge_add(&a, (uint64_t)4 << 28, part, &page), GDUMP_ERR_UNSUPPORTED, "too many pages: 4 pages");
	CHECK_OK(page_merge_add(&a, (1 << 28) + (1 << 22), part, &page));
	CHECK(!page);
	page_merge_deinit(&a);
}

int main(void)
{
	test_any_order(0, 0);
	test_any_order(5, 0);
	test_any_order(6, PAGE / PART - 1);
	test_too_many();
	return check_done();
}
