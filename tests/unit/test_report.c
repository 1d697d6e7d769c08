/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"
#include "report/deadlock.h"
#include "report/facts.h"

#define NONE DEADLOCK_NONE

static void test_circles(void)
{
	/* 0 -> 1 -> 2 -> 1; 3 -> 4, which waits for nobody; 5 <-> 6; 7 waits for itself; 8 -> 0 */
	static const size_t by[] = { 1, 2, 1, 4, NONE, 6, 5, 7, 0 };
	size_t mark[9] = { 0 }, from = 0;

	CHECK_INT(deadlock_next(by, 9, mark, &from), 1);
	CHECK_INT(deadlock_next(by, 9, mark, &from), 5);
	CHECK_INT(deadlock_next(by, 9, mark, &from), 7);
	CHECK(deadlock_next(by, 9, mark, &from) == NONE);
}

static void test_no_circle(void)
{
	static const size_t by[] = { 1, 2, NONE, 1, 3 };
	size_t mark[5] = { 0 }, from = 0;

	CHECK(deadlock_next(by, 5, mark, &from) == NONE);
	from = 0;
	CHECK(deadlock_next(by, 0, mark, &from) == NONE);
}

static void test_facts(void)
{
	struct gdump_fact *root, *list;
	const struct gdump_fact *f;

	CHECK_OK(facts_create("root", &root));
	facts_limit(root, 65536);
	fact_text(root, "text", "%d%%", 7);
	fact_number(root, "number", 8, GDUMP_UNIT_BYTES);
	list = fact_list(root, "list");
	for (uint64_t i = 0; i < 4; i++)
		fact_number(list, "item", 3 - i / 2, GDUMP_UNIT_NONE);
	fact_guest_text(list, "item", "abc", 2);
	CHECK_STR(fact_find(root, "text")->text, "7%");
	CHECK_INT(fact_find(root, "number")->unit, GDUMP_UNIT_BYTES);
	CHECK(!fact_find(root, "item"));
	fact_sort(list);
	f = list->children;
	CHECK_STR(f->text, "ab");
	for (uint64_t i = 0; i < 4; i++) {
		f = f->next;
		CHECK_INT(f->number, 2 + i / 2);
	}
	CHECK(!f->next);
	/* what is added after that is the last one */
	fact_number(list, "item", 0, GDUMP_UNIT_NONE);
	CHECK(f->next && !f->next->next);
	CHECK(!facts_limit(root, 0));
	CHECK_OK(facts_check(root));
	gdump_fact_destroy(root);
}

/* Past the limit nothing is added, and nothing below that */
static void test_full(void)
{
	struct gdump_fact *root, *group;

	CHECK_OK(facts_create("root", &root));
	facts_limit(root, 4096);
	for (unsigned int i = 0; i < 1000; i++) {
		group = fact_group(root, "group");
		fact_text(fact_group(group, "inner"), "text", "%u", i);
	}
	CHECK(!group);
	CHECK(facts_limit(root, 4096));
	CHECK(fact_text(root, "text", "again"));
	CHECK(!facts_limit(root, 4096));
	gdump_fact_destroy(root);
	gdump_fact_destroy(NULL);
}

int main(void)
{
	test_circles();
	test_no_circle();
	test_facts();
	test_full();
	return check_done();
}
