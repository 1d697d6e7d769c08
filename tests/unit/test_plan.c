/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include <elf.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "write/plan.h"
#include "random.h"
#include "util/bits.h"

enum { MAX_PAGES = 9000 };

/* A source that knows which pages are absent, and nothing else. */
struct fake {
	struct source source;
	bool in_range[MAX_PAGES], absent[MAX_PAGES];
};

static struct gdump_error *fake_scan(struct source *s, uint64_t pfn, size_t num,
				     unsigned char *state, bool holes)
{
	struct fake *f = (struct fake *)s;

	(void)holes;
	for (size_t i = 0; i < num; i++) {
		CHECK(pfn + i < MAX_PAGES && f->in_range[pfn + i]);
		state[i] = f->absent[pfn + i] ? PAGE_ABSENT : PAGE_THERE;
	}
	return NULL;
}

static struct gdump_error *failing_scan(struct source *s, uint64_t pfn, size_t num,
					unsigned char *state, bool holes)
{
	(void)s, (void)num, (void)state, (void)holes;
	return error_new(GDUMP_ERR_CORRUPT, "scan of %llu", (unsigned long long)pfn);
}

static void fake_close(struct source *s)
{
	free(s);
}

static const struct source_ops fake_ops = {
	.name = "fake", .has_absent = true, .scan = fake_scan, .close = fake_close,
};
static const struct source_ops failing_ops = {
	.name = "failing", .has_absent = true, .scan = failing_scan, .close = fake_close,
};

static struct fake *fake_create(const struct source_ops *ops, uint32_t page_size)
{
	struct fake *f = calloc(1, sizeof(*f));

	source_init(&f->source, ops);
	f->source.image.machine = EM_AARCH64;
	f->source.image.page_size = page_size;
	return f;
}

static void fake_range(struct fake *f, uint64_t start, uint64_t size, uint32_t kind)
{
	const uint64_t page_size = f->source.image.page_size;

	CHECK_OK(image_add_range(&f->source.image, start, size, kind));
	for (uint64_t i = start / page_size; i < MAX_PAGES && i * page_size < start + size; i++)
		f->in_range[i] = true;
}

static struct gdump_plan *plan_of(struct fake *f)
{
	struct gdump_plan *plan = NULL;

	CHECK_OK(image_seal(&f->source.image));
	CHECK_OK(plan_create(&f->source, &plan));
	return plan;
}

/* plan_next() gives just the pages that gdump_plan_keeps() says are kept. */
static void check_next(const struct fake *f, const struct gdump_plan *plan)
{
	struct plan_cursor c = { 0 };
	uint64_t kept = 0, absent = 0;

	for (uint64_t pfn = 0; pfn < MAX_PAGES; pfn++) {
		const bool want = f->in_range[pfn] && !f->absent[pfn];

		CHECK_INT(gdump_plan_keeps(plan, pfn), want);
		if (want)
			CHECK_INT(plan_next(plan, &c), pfn);
		kept += want;
		absent += f->in_range[pfn] && !want;
	}
	CHECK_INT(plan_next(plan, &c), UINT64_MAX);
	CHECK_INT(plan_next(plan, &c), UINT64_MAX);
	CHECK_INT(gdump_plan_kept(plan), kept);
	CHECK_INT(gdump_plan_dropped(plan, GDUMP_DROP_ABSENT), absent);
}

static void check_run(const struct fake *f, const struct gdump_plan *plan)
{
	for (uint64_t pfn = 0, n; pfn < MAX_PAGES; pfn += n) {
		bool kept;

		n = 1;
		if (!f->in_range[pfn])
			continue;
		n = plan_run(plan, pfn, &kept);
		CHECK(n >= 1 && pfn + n <= MAX_PAGES);
		for (uint64_t i = pfn; i < pfn + n; i++)
			CHECK(f->in_range[i] && f->absent[i] == !kept);
		/* and it is no shorter than it has to be */
		CHECK(pfn + n == MAX_PAGES || !f->in_range[pfn + n] ||
		      f->absent[pfn + n] == kept);
	}
}

static void check_covers(const struct fake *f, const struct gdump_plan *plan)
{
	for (uint64_t pfn = 0; pfn < MAX_PAGES; pfn++) {
		uint64_t from, to, first = pfn;

		while (first < MAX_PAGES && !f->in_range[first])
			first++;
		CHECK_INT(plan_covers(plan, pfn, &from, &to), first < MAX_PAGES);
		if (first == MAX_PAGES)
			continue;
		CHECK_INT(from, first);
		CHECK(to > from && to <= MAX_PAGES && (to == MAX_PAGES || !f->in_range[to]));
		for (uint64_t i = from; i < to; i++)
			CHECK(f->in_range[i]);
	}
}

/* What is dropped counts once, and only where there is memory; the plan is of no use then. */
static void check_drop(const struct fake *f, struct gdump_plan *plan, uint64_t *seed)
{
	for (int n = 0; n < 50; n++) {
		const uint64_t pfn = random_below(seed, MAX_PAGES), num = random_below(seed, MAX_PAGES);
		uint64_t count = 0;

		for (uint64_t i = pfn; i < pfn + num && i < MAX_PAGES; i++)
			count += f->in_range[i] && gdump_plan_keeps(plan, i);
		CHECK_INT(plan_drop(plan, pfn, num), count);
		for (uint64_t i = pfn; i < pfn + num && i < MAX_PAGES; i++)
			CHECK(!gdump_plan_keeps(plan, i));
	}
}

static void check_bitmap(const struct fake *f, const struct gdump_plan *plan, size_t chunk)
{
	unsigned char buf[MAX_PAGES / 8 + 64];

	for (uint64_t pfn = 0; pfn < MAX_PAGES; pfn += 8 * chunk) {
		for (int kept = 0; kept < 2; kept++) {
			plan_bitmap(plan, kept, pfn, buf, chunk);
			for (uint64_t i = 0; i < 8 * chunk; i++) {
				const bool in = pfn + i < MAX_PAGES && f->in_range[pfn + i];

				CHECK_INT(buf[i / 8] >> i % 8 & 1,
					  in && !(kept && f->absent[pfn + i]));
			}
		}
	}
}

static void check_rank(const struct gdump_plan *plan)
{
	struct plan_rank rank = { 0 };
	uint64_t below = 0;

	CHECK_OK(plan_rank_init(&rank, plan));
	for (uint64_t pfn = 0; pfn < MAX_PAGES; pfn++) {
		if (gdump_plan_keeps(plan, pfn))
			CHECK_INT(plan_rank(&rank, pfn), below++);
	}
	plan_rank_deinit(&rank);
}

static void check_all(struct fake *f)
{
	static const size_t chunks[] = { 1, 7, 64, MAX_PAGES / 8 + 1 };
	struct gdump_plan *plan = plan_of(f);

	check_next(f, plan);
	check_run(f, plan);
	check_rank(plan);
	check_covers(f, plan);
	for (size_t i = 0; i < ARRAY_SIZE(chunks); i++)
		check_bitmap(f, plan, chunks[i]);
	check_drop(f, plan, &(uint64_t){ plan->num_pages });
	gdump_plan_destroy(plan);
}

/* Ranges and absent pages at random; ranges need not be whole pages. */
static void test_random(uint32_t page_size, bool whole_pages)
{
	uint64_t seed = page_size + whole_pages;

	for (int round = 0; round < 30; round++) {
		struct fake *f = fake_create(&fake_ops, page_size);
		const uint64_t unit = whole_pages ? page_size : 512;
		const uint64_t units = MAX_PAGES * page_size / unit;
		uint64_t num = random_below(&seed, 12) + 1;

		while (num--) {
			uint64_t start = random_below(&seed, units);
			uint64_t size = random_below(&seed, MIN(units - start, units / 8)) + 1;

			fake_range(f, start * unit, size * unit,
				   (uint32_t)random_below(&seed, 2));
		}
		for (size_t i = 0; i < MAX_PAGES; i++)
			f->absent[i] = random_below(&seed, 100) < (uint64_t)round * 3 &&
				       (i % 97 > 50 || round > 20);
		check_all(f);
		source_close(&f->source);
	}
}

/* Several ranges in one 64 KiB page are one page. */
static void test_ranges_in_one_page(void)
{
	struct fake *f = fake_create(&fake_ops, 65536);
	struct gdump_plan *plan;

	fake_range(f, 0x1000, 0x1000, GDUMP_RANGE_RAM);
	fake_range(f, 0x8000, 0x1000, GDUMP_RANGE_RAM);
	fake_range(f, 0x1f000, 0x2000, GDUMP_RANGE_RAM);
	fake_range(f, 0x50000, 1, GDUMP_RANGE_RAM);
	plan = plan_of(f);
	CHECK_INT(plan->num_pages, 4);
	CHECK_INT(plan->num_extents, 2);
	CHECK_INT(plan_end_pfn(plan), 6);
	CHECK(gdump_plan_keeps(plan, 0) && !gdump_plan_keeps(plan, 3));
	gdump_plan_destroy(plan);
	source_close(&f->source);
}

/* Device memory above all RAM goes, what lies below stays. */
static void test_trim(void)
{
	struct fake *f = fake_create(&fake_ops, 4096);
	struct gdump_plan *plan, *trimmed = NULL;

	fake_range(f, 0x0, 0x4000, GDUMP_RANGE_RAM);
	fake_range(f, 0x4000, 0x2000, GDUMP_RANGE_DEVICE);
	fake_range(f, 0x8000, 0x1000, GDUMP_RANGE_RAM);
	fake_range(f, 0x9000, 0x2000, GDUMP_RANGE_DEVICE);
	fake_range(f, 0x20000, 0x1000, GDUMP_RANGE_DEVICE);
	f->absent[1] = f->absent[9] = true;
	plan = plan_of(f);
	CHECK_INT(plan_end_pfn(plan), 0x21);
	CHECK_OK(plan_share(plan, &trimmed));
	plan_trim(trimmed, &f->source.image);
	CHECK_INT(plan_end_pfn(trimmed), 9);
	CHECK_INT(trimmed->num_pages, 7);
	CHECK_INT(gdump_plan_kept(trimmed), 6);
	CHECK(gdump_plan_keeps(trimmed, 5) && !gdump_plan_keeps(trimmed, 10));
	CHECK(gdump_plan_keeps(plan, 10) && gdump_plan_keeps(plan, 0x20));
	gdump_plan_destroy(trimmed);
	gdump_plan_destroy(plan);
	source_close(&f->source);
}

/* Nothing but device memory stays as it is. */
static void test_trim_devices_only(void)
{
	struct fake *f = fake_create(&fake_ops, 4096);
	struct gdump_plan *plan, *trimmed = NULL;

	fake_range(f, 0x4000, 0x2000, GDUMP_RANGE_DEVICE);
	plan = plan_of(f);
	CHECK_OK(plan_share(plan, &trimmed));
	plan_trim(trimmed, &f->source.image);
	CHECK_INT(gdump_plan_kept(trimmed), 2);
	gdump_plan_destroy(trimmed);
	gdump_plan_destroy(plan);
	source_close(&f->source);
}

/* The last page of all memory */
static void test_top(void)
{
	struct fake *f = fake_create(&fake_ops, 4096);
	struct gdump_plan *plan = NULL;
	struct plan_cursor c = { 0 };

	f->source.ops = &(struct source_ops){ .name = "full", .close = fake_close };
	fake_range(f, UINT64_MAX - 0xfff, 0x1000, GDUMP_RANGE_RAM);
	plan = plan_of(f);
	CHECK_INT(plan->num_pages, 1);
	CHECK_INT(plan_next(plan, &c), UINT64_MAX / 4096);
	CHECK_INT(plan_end_pfn(plan), UINT64_MAX / 4096 + 1);
	gdump_plan_destroy(plan);
	f->source.ops = &fake_ops;
	source_close(&f->source);
}

static void test_refused(void)
{
	struct fake *f = fake_create(&failing_ops, 4096);
	struct gdump_plan *plan = NULL;

	fake_range(f, 0, 0x4000, GDUMP_RANGE_RAM);
	CHECK_OK(image_seal(&f->source.image));
	CHECK_ERR(plan_create(&f->source, &plan), GDUMP_ERR_CORRUPT, "scan of 0");
	CHECK(!plan);
	gdump_plan_destroy(NULL);
	source_close(&f->source);
}

static void test_empty(void)
{
	struct fake *f = fake_create(&fake_ops, 4096);
	struct gdump_plan *plan = plan_of(f);
	struct plan_cursor c = { 0 };

	CHECK_INT(plan_end_pfn(plan), 0);
	CHECK_INT(plan_next(plan, &c), UINT64_MAX);
	CHECK(!gdump_plan_keeps(plan, 0));
	CHECK_INT(gdump_plan_dropped(plan, (enum gdump_drop)3), 0);
	CHECK_INT(gdump_plan_dropped(plan, (enum gdump_drop)0), 0);
	CHECK_INT(gdump_plan_dropped(plan, (enum gdump_drop)(1 << 30)), 0);
	gdump_plan_destroy(plan);
	source_close(&f->source);
}

int main(void)
{
	test_random(4096, true);
	test_random(4096, false);
	test_random(65536, false);
	test_ranges_in_one_page();
	test_trim();
	test_trim_devices_only();
	test_top();
	test_refused();
	test_empty();
	return check_done();
}
