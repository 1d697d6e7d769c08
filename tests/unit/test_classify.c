/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "fake_kernel.h"

#include "kernel/classify.h"
#include "util/bits.h"

enum {
	SIZE = 64, FLAGS = 0, TAIL = 8, MAPPING = 24, PRIVATE = 40, MAPCOUNT = 48,
	ZERO = GDUMP_DROP_ZERO, CACHE = GDUMP_DROP_CACHE, CACHE_PRIVATE = GDUMP_DROP_CACHE_PRIVATE,
	USER = GDUMP_DROP_USER, FREE = GDUMP_DROP_FREE, OFFLINE = GDUMP_DROP_OFFLINE,
	HWPOISON = GDUMP_DROP_HWPOISON,
};

#define COMMON \
	"SIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page.mapping)=24\nOFFSET(page.private)=40\n" \
	"OFFSET(page._mapcount)=48\nLENGTH(zone.free_area)=11\n"
#define HEADS "OFFSET(page.compound_head)=8\n"
#define OLD_FLAGS "NUMBER(PG_lru)=4\nNUMBER(PG_private)=13\nNUMBER(PG_swapcache)=10\n" \
	"NUMBER(PG_swapbacked)=19\nNUMBER(PG_slab)=9\nNUMBER(PG_hwpoison)=23\nNUMBER(PG_head_mask)=65536\n"
#define NEW_FLAGS "NUMBER(PG_lru)=5\nNUMBER(PG_private)=14\nNUMBER(PG_swapcache)=10\n" \
	"NUMBER(PG_swapbacked)=17\nNUMBER(PG_hwpoison)=20\nNUMBER(PG_head_mask)=64\n"
#define OLD_TYPES \
	"NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\nNUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257\n"

/* What kernels tell of themselves, and what it says */
static const struct kernel {
	const char *name, *info;
	unsigned int lru, private, swapcache, swapbacked, hwpoison, head;       /* bits */
	uint32_t buddy, offline, slab, hugetlb, unaccepted;     /* _mapcount; 0: none */
	unsigned int slab_bit, hugetlb_bit;                     /* 0: none */
	unsigned int order_at, dtor_at; /* in two pages; 0: low byte of the second's flags */
} kernels[] = {
	{ "5.10", COMMON HEADS OLD_FLAGS OLD_TYPES
	  "OFFSET(page.compound_dtor)=16\nOFFSET(page.compound_order)=17\nNUMBER(HUGETLB_PAGE_DTOR)=2\n",
	  4, 13, 10, 19, 23, 16, (uint32_t)-129, (uint32_t)-257, .slab_bit = 9,
	  .order_at = SIZE + 17, .dtor_at = SIZE + 16 },
	{ "6.4", COMMON HEADS OLD_FLAGS OLD_TYPES
	  "OFFSET(folio._folio_dtor)=80\nOFFSET(folio._folio_order)=81\nNUMBER(HUGETLB_PAGE_DTOR)=2\n",
	  4, 13, 10, 19, 23, 16, (uint32_t)-129, (uint32_t)-257, .slab_bit = 9,
	  .order_at = 81, .dtor_at = 80 },
	{ "6.6", COMMON HEADS OLD_FLAGS OLD_TYPES "NUMBER(PG_hugetlb)=8\n",
	  4, 13, 10, 19, 23, 16, (uint32_t)-129, (uint32_t)-257, .slab_bit = 9, .hugetlb_bit = 8 },
	{ "6.10", COMMON HEADS NEW_FLAGS OLD_TYPES
	  "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-4097\nNUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-2049\n",
	  5, 14, 10, 17, 20, 6, (uint32_t)-129, (uint32_t)-257, .slab = (uint32_t)-4097,
	  .hugetlb = (uint32_t)-2049 },
	{ "6.11", COMMON HEADS NEW_FLAGS
	  "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-1073741825\nNUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-536870913\n"
	  "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-33554433\nNUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-67108865\n",
	  5, 14, 10, 17, 20, 6, 0xbfffffff, 0xdfffffff, .slab = 0xfdffffff, .hugetlb = 0xfbffffff },
	{ "6.12", COMMON HEADS NEW_FLAGS
	  "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-268435456\nNUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-251658240\n"
	  "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-184549376\nNUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-201326592\n",
	  5, 14, 10, 17, 20, 6, 0xf0000000, 0xf1000000, .slab = 0xf5000000, .hugetlb = 0xf4000000 },
	{ "7.2", COMMON "OFFSET(page.compound_info)=8\n" NEW_FLAGS
	  "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-268435456\nNUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-251658240\n"
	  "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-184549376\nNUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-201326592\n"
	  "NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)=-150994944\n",
	  5, 14, 10, 17, 20, 6, 0xf0000000, 0xf1000000, .slab = 0xf5000000, .hugetlb = 0xf4000000,
	  .unaccepted = 0xf7000000 },
};

static bool read_layout(const char *info, bool big, struct page_layout *ret, const char **missing)
{
	struct image image = { .big = big, .is64 = true, .vmcoreinfo = info,
			       .vmcoreinfo_size = strlen(info) };

	return page_layout_read(&image, ret, missing);
}

/* Two struct pages that follow each other */
struct pair {
	unsigned char bytes[2 * SIZE];
	bool big;
};

static void store(struct pair *p, size_t at, uint64_t v, unsigned int n)
{
	struct cursor c = cursor_init(p->bytes + at, n, p->big, true);

	put_uint(&c, v, n);
}

static struct pair pair(const struct page_layout *l, uint64_t flags, uint64_t mapping,
			uint32_t mapcount)
{
	struct pair p = { .big = l->big };

	store(&p, FLAGS, flags, 8);
	store(&p, MAPPING, mapping, 8);
	store(&p, MAPCOUNT, mapcount, 4);
	store(&p, SIZE + MAPCOUNT, UINT32_MAX, 4);
	return p;
}

static uint64_t bit(unsigned int n)
{
	return (uint64_t)1 << n;
}

/* Make it the head of a folio of that order. */
static void make_folio(const struct kernel *k, struct pair *p, unsigned int order,
		       unsigned int dtor)
{
	store(p, SIZE + TAIL, 0xffffea0000000001, 8);
	if (k->order_at) {
		store(p, k->order_at, order, 1);
		store(p, k->dtor_at, dtor, 1);
	} else {
		store(p, SIZE + FLAGS, order, 8);
	}
}

static void check(const struct page_layout *l, const struct pair *p, uint64_t pfn,
		  unsigned int drop, unsigned int why, unsigned int order, const char *what)
{
	const struct verdict v = classify(l, p->bytes, true, pfn, drop);

	if (v.why != why || (why && v.order != order)) {
		fprintf(stderr, "%s, dropping %u: why %u, order %u; wanted %u, %u\n", what, drop, v.why,
			v.order, why, order);
		CHECK(false);
	}
}

static void test_single(const struct kernel *k, const struct page_layout *l)
{
	const uint64_t lru = bit(k->lru), private = bit(k->private), anon = 0xffff888000000001,
		       file = 0xffff888000000000;
	const struct {
		const char *what;
		uint64_t flags, mapping;
		unsigned int drop, why;
	} cases[] = {
		{ "cache", lru, file, CACHE, CACHE }, { "cache", lru, file, CACHE_PRIVATE, CACHE },
		{ "cache", lru, file, USER | FREE | ZERO, 0 },
		{ "private", lru | private, file, CACHE, 0 },
		{ "private", lru | private, file, CACHE_PRIVATE, CACHE_PRIVATE },
		{ "private", lru | private, file, 31, CACHE_PRIVATE },
		{ "anonymous", lru, anon, 31 & ~USER, 0 }, { "anonymous", lru, anon, USER, USER },
		{ "merged", lru, anon | 3, USER, USER }, { "driver", 0, file | 2, 31, 0 },
		{ "swap", bit(k->swapbacked) | bit(k->swapcache), file, CACHE, CACHE },
		{ "half of swap", bit(k->swapcache), file, 31, 0 },
		{ "half of swap", bit(k->swapbacked), file, 31, 0 },
		{ "kernel", 0, 0, 31, 0 }, { "reserved", bit(12), 0, 31, 0 },
		{ "poison", bit(k->hwpoison), 0, ZERO, HWPOISON },
		{ "poisoned user", bit(k->hwpoison) | lru, anon, USER, USER },
		{ "poisoned user", bit(k->hwpoison) | lru, anon, CACHE, HWPOISON },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pair p = pair(l, cases[i].flags, cases[i].mapping, UINT32_MAX);

		check(l, &p, 77, cases[i].drop, cases[i].why, 0, cases[i].what);
		/* the same words in a tail say nothing of it */
		store(&p, TAIL, 0xffffea0000000001, 8);
		check(l, &p, 77, 31, 0, 0, "tail");
	}
}

static void test_types(const struct kernel *k, const struct page_layout *l)
{
	/* the low bits are the owner's, in kernels whose types leave them alone */
	const uint32_t buddy = !(k->buddy & 0xffffff) ? k->buddy | 0x1234 :
			       (k->buddy & 0xffff) == 0xffff ? k->buddy - 0x1234 : k->buddy;
	struct pair p = pair(l, 0, 0, buddy);

	store(&p, PRIVATE, 3, 8);
	check(l, &p, 64, FREE, FREE, 3, "free");
	check(l, &p, 64, 31 & ~FREE, 0, 0, "free, not asked for");
	CHECK(classify(l, p.bytes, true, 65, FREE).inconsistent);
	store(&p, PRIVATE, 11, 8);
	CHECK(classify(l, p.bytes, true, 0, FREE).inconsistent);
	store(&p, PRIVATE, UINT64_MAX, 8);
	CHECK(classify(l, p.bytes, true, 0, FREE).inconsistent);
	check(l, &p, 0, FREE, 0, 0, "of no size that there is");
	p = pair(l, 0, 0, k->offline);
	check(l, &p, 5, ZERO, OFFLINE, 0, "offline");
	p = k->slab ? pair(l, bit(k->lru), 0xffff888000000001, k->slab) :
		      pair(l, bit(k->slab_bit) | bit(k->lru), 0xffff888000000001, UINT32_MAX);
	check(l, &p, 5, 31 & ~(CACHE | CACHE_PRIVATE), 0, 0, "slab is not anonymous");
	p = pair(l, bit(k->slab_bit), 0, k->buddy);
	if (k->slab_bit)
		check(l, &p, 0, 31, 0, 0, "free slab");
	p = pair(l, 0, 0, 0xf7000000);
	check(l, &p, 1024, FREE, k->unaccepted ? FREE : 0, 10, "unaccepted");
	check(l, &p, 1025, FREE, 0, 0, "unaccepted, not aligned");
}

static void test_folios(const struct kernel *k, const struct page_layout *l)
{
	const uint64_t flags = bit(k->lru) | bit(k->head), anon = 0xffff888000000001;
	struct pair p = pair(l, flags, anon, UINT32_MAX), huge;

	make_folio(k, &p, 9, 1);
	check(l, &p, 512, USER, USER, 9, "huge");
	check(l, &p, 512, CACHE, 0, 0, "huge, not asked for");
	/* fake heads of a folio without all of its struct pages, and what contradicts itself */
	CHECK(classify(l, p.bytes, true, 513, USER).inconsistent &&
	      !classify(l, p.bytes, true, 513, USER).why);
	CHECK(classify(l, p.bytes, false, 512, USER).inconsistent);
	store(&p, SIZE + TAIL, 0, 8);
	CHECK(classify(l, p.bytes, true, 512, USER).inconsistent);
	make_folio(k, &p, 23, 1);
	CHECK(classify(l, p.bytes, true, 0, USER).inconsistent);
	make_folio(k, &p, 0, 1);
	CHECK(classify(l, p.bytes, true, 0, USER).inconsistent);
	/* one that is in the pool, and nobody's */
	huge = pair(l, bit(k->head), 0, k->hugetlb ? k->hugetlb : UINT32_MAX);
	make_folio(k, &huge, 9, 2);
	if (k->hugetlb_bit)
		store(&huge, SIZE + FLAGS, bit(k->hugetlb_bit) | 9, 8);
	check(l, &huge, 512, USER, USER, 9, "hugetlb");
	check(l, &huge, 512, 31 & ~USER, 0, 0, "hugetlb, not asked for");
	huge = pair(l, bit(k->head), 0, UINT32_MAX);
	make_folio(k, &huge, 9, 1);
	check(l, &huge, 512, 31, 0, 0, "the kernel's own");
}

static void test_kernels(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(kernels); i++) {
		for (int big = 0; big < 2; big++) {
			const char *missing = NULL;
			struct page_layout l;

			if (!CHECK(read_layout(kernels[i].info, big, &l, &missing)))
				fprintf(stderr, "Linux %s: %s\n", kernels[i].name, missing);
			test_single(&kernels[i], &l);
			test_types(&kernels[i], &l);
			test_folios(&kernels[i], &l);
		}
	}
}

/* Without what tells how large folios are, heads are single pages and tails stay. */
static void test_unknown_order(void)
{
	struct pair p;
	struct page_layout l;
	const char *missing;

	CHECK(read_layout(COMMON HEADS OLD_FLAGS OLD_TYPES, false, &l, &missing));
	p = pair(&l, bit(4) | bit(16), 0xffff888000000001, UINT32_MAX);
	store(&p, SIZE + TAIL, 0xffffea0000000001, 8);
	check(&l, &p, 512, USER, USER, 0, "head of who knows what");
}

static void check_missing(const char *info, const char *wanted)
{
	const char *missing = "nothing";
	struct page_layout l;

	CHECK(!read_layout(info, false, &l, &missing));
	CHECK_STR(missing, wanted);
}

/* Half a truth is none. */
static void test_missing(void)
{
	static const char *const lines[] = {
		"SIZE(page)=64",
		"OFFSET(page.flags)=0",
		"OFFSET(page.mapping)=24",
		"OFFSET(page.private)=40",
		"OFFSET(page._mapcount)=48",
		"OFFSET(page.compound_head)=8",
		"NUMBER(PG_lru)=4",
		"NUMBER(PG_private)=13",
		"NUMBER(PG_swapcache)=10",
		"NUMBER(PG_swapbacked)=19",
		"NUMBER(PG_slab)=9",
		"NUMBER(PG_head_mask)=65536",
		"NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129",
		"LENGTH(zone.free_area)=11",
	};
	char info[2048];
	struct page_layout l;
	const char *missing;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		strcpy(info, kernels[0].info);
		*strstr(info, lines[i]) = 'X';
		CHECK(!read_layout(info, false, &l, &missing));
	}
	check_missing("SIZE(page)=8\n", "SIZE(page)");
	check_missing("SIZE(page)=65\n", "SIZE(page)");
	check_missing("SIZE(page)=4096\n", "SIZE(page)");
	check_missing("SIZE(page)=64\nOFFSET(page.flags)=57\n", "an offset in struct page");
	check_missing("SIZE(page)=64\nOFFSET(page.flags)=18446744073709551615\n",
		      "an offset in struct page");
}

/* Whatever stands there, a verdict keeps to what it may say. */
static void test_random(void)
{
	uint64_t seed = 11;

	for (unsigned int n = 0; n < 50000; n++) {
		const struct kernel *k = &kernels[n % ARRAY_SIZE(kernels)];
		const uint64_t pfn = random_next(&seed) >> random_below(&seed, 64) >> 12;
		struct page_layout l;
		struct verdict v;
		struct pair p;
		const char *missing;

		CHECK(read_layout(k->info, false, &l, &missing));
		for (size_t i = 0; i < sizeof(p.bytes); i++)
			p.bytes[i] = random_below(&seed, 3) ? 0 : (unsigned char)random_next(&seed);
		v = classify(&l, p.bytes, true, pfn, 31);
		CHECK(!v.why || (v.order <= 22 && !(pfn & (bit(v.order) - 1))));
		CHECK(!v.why || is_power_of_2(v.why));
		CHECK(!v.why || !(p.bytes[TAIL] & 1));
	}
}

int main(void)
{
	test_kernels();
	test_unknown_order();
	test_missing();
	test_random();
	return check_done();
}
