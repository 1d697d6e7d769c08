/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "fake_kernel.h"

#include "kernel/filter.h"
#include "util/bits.h"

enum {
	MEMORY = 8 << 20, PAGE = 4096, NUM_PAGES = MEMORY / PAGE,
	TOP = 0x1000, MIDDLE = 0x2000, LOW = 0x3000, ROOTS = 0x5000, SECTIONS = 0x6000,
	NODES = 0x7000, NODE = 0x8000, PAGES = 0x80000, TEXT = 0x20000,
	PAGE_STRUCT = 64, VM_STAT = 128,
	LRU = 1 << 4, SLAB = 1 << 9, SWAPCACHE = 1 << 10, RESERVED = 1 << 12, PRIVATE = 1 << 13,
	HEAD = 1 << 16, SWAPBACKED = 1 << 19, HWPOISON = 1 << 22,
};

static const uint64_t map = 0xffffffff80000000;

static const char info[] = "PAGESIZE=4096\nNUMBER(phys_base)=0\nNUMBER(pgtable_l5_enabled)=0\n"
	"SYMBOL(swapper_pg_dir)=ffffffff80001000\nSYMBOL(_stext)=ffffffff80020000\n"
	"SYMBOL(mem_section)=ffffffff80005000\nLENGTH(mem_section)=16\nSIZE(mem_section)=16\n"
	"OFFSET(mem_section.section_mem_map)=0\nNUMBER(SECTION_SIZE_BITS)=20\n"
	"NUMBER(MAX_PHYSMEM_BITS)=32\nSIZE(page)=64\nOFFSET(page.flags)=0\n"
	"OFFSET(page.compound_head)=8\nOFFSET(page.mapping)=24\nOFFSET(page.private)=40\n"
	"OFFSET(page._mapcount)=48\nOFFSET(page.compound_dtor)=16\nOFFSET(page.compound_order)=17\n"
	"NUMBER(HUGETLB_PAGE_DTOR)=2\nNUMBER(PG_lru)=4\nNUMBER(PG_slab)=9\nNUMBER(PG_swapcache)=10\n"
	"NUMBER(PG_private)=13\nNUMBER(PG_head_mask)=65536\nNUMBER(PG_swapbacked)=19\n"
	"NUMBER(PG_hwpoison)=22\nNUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\n"
	"NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257\nLENGTH(zone.free_area)=11\n"
	"SYMBOL(node_data)=ffffffff80007000\nLENGTH(node_data)=4\nOFFSET(pglist_data.node_zones)=0\n"
	"OFFSET(pglist_data.nr_zones)=1024\nSIZE(zone)=256\nOFFSET(zone.vm_stat)=128\n"
	"NUMBER(NR_FREE_PAGES)=0\n";

static void put_page(struct fake *f, uint64_t pfn, uint64_t flags, uint64_t mapping,
		     uint32_t mapcount)
{
	const uint64_t at = PAGES + pfn * PAGE_STRUCT;

	put(f, at, flags, 8);
	put(f, at + 24, mapping, 8);
	put(f, at + 48, mapcount, 4);
}

static void put_free(struct fake *f, uint64_t pfn, uint64_t order)
{
	put_page(f, pfn, 0, 0, (uint32_t)-129);
	put(f, PAGES + pfn * PAGE_STRUCT + 40, order, 8);
}

/* A head and its tails */
static void put_folio(struct fake *f, uint64_t pfn, unsigned int order, uint64_t flags,
		      uint64_t mapping, unsigned int dtor)
{
	put_page(f, pfn, flags | HEAD, mapping, (uint32_t)-1);
	for (uint64_t i = 1; i < (uint64_t)1 << order; i++)
		put(f, PAGES + (pfn + i) * PAGE_STRUCT + 8, map + PAGES + pfn * PAGE_STRUCT + 1, 8);
	put(f, PAGES + (pfn + 1) * PAGE_STRUCT + 16, dtor | order << 8, 2);
}

static struct fake *kernel(void)
{
	struct fake *f = fake_create(EM_X86_64, MEMORY, info);

	set(f, TOP, 511, MIDDLE | 1);
	set(f, MIDDLE, 510, LOW | 1);
	for (unsigned int i = 0; i < MEMORY >> 21; i++)
		set(f, LOW, i, (uint64_t)i << 21 | 0x81);
	set(f, ROOTS, 0, map + SECTIONS);
	for (unsigned int i = 0; i < MEMORY >> 20; i++)
		put(f, SECTIONS + 16 * i, (map + PAGES) | 7, 8);
	for (uint64_t pfn = 0; pfn < NUM_PAGES; pfn++)
		put_page(f, pfn, 0, 0, (uint32_t)-1);
	put_page(f, TEXT / PAGE, RESERVED, 0, (uint32_t)-1);
	put_free(f, 512, 9);
	put_free(f, 1024, 10);
	set(f, NODES, 1, map + NODE);           /* there is no node 0 */
	put(f, NODE + 1024, 2, 4);
	put(f, NODE + VM_STAT, 512, 8);
	put(f, NODE + 256 + VM_STAT, 1024, 8);
	return f;
}

static bool kept(const struct gdump_plan *plan, uint64_t pfn)
{
	return gdump_plan_keeps(plan, pfn);
}

static struct gdump_plan *plan_of(struct fake *f, unsigned int drop)
{
	struct gdump_plan *plan = NULL;

	CHECK_OK(plan_create(&f->source, &plan));
	CHECK_OK(filter_plan(plan, &f->source, drop));
	return plan;
}

/* What a page is, and the levels that leave it out */
static const struct {
	uint64_t flags, mapping;
	uint32_t mapcount;
	unsigned int drops;
} pages[] = {
	{ LRU, 0x1000, (uint32_t)-1, 2 | 4 },
	{ LRU | PRIVATE, 0x1000, (uint32_t)-1, 4 },
	{ LRU | SWAPBACKED, 0x1001, 0, 8 },             /* anonymous */
	{ LRU | SWAPBACKED, 0x1003, 5, 8 },             /* merged */
	{ SWAPBACKED | SWAPCACHE, 0x1000, 0, 2 | 4 },
	{ SWAPCACHE, 0x1000, 0, 0 },                    /* a filesystem's own flag */
	{ SLAB, 0x1001, 0, 0 },
	{ SLAB, 0x1001, (uint32_t)-129, 0 },
	{ 0, 0x1001, (uint32_t)-513, 0 },               /* types that nobody told of */
	{ LRU, 0x1000, 0xf2000000, 0 },
	{ LRU, 0x1001, 0x80000000, 0 },
	{ HWPOISON, 0, (uint32_t)-1, 31 },
	{ 0, 0, (uint32_t)-257, 31 },                   /* offline */
	{ 0, 0, (uint32_t)-1, 0 },
};

static void test_kinds(void)
{
	struct fake *f = kernel();

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		put_page(f, 256 + i, pages[i].flags, pages[i].mapping, pages[i].mapcount);
	for (unsigned int drop = 2; drop <= 16; drop *= 2) {
		struct gdump_plan *plan = plan_of(f, drop);

		CHECK(!gdump_plan_warning(plan));
		for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
			CHECK_INT(kept(plan, 256 + i), !(pages[i].drops & drop));
		CHECK_INT(gdump_plan_dropped(plan, GDUMP_DROP_FREE), drop == 16 ? 1536 : 0);
		CHECK(kept(plan, 511) && kept(plan, 512) == (drop != 16) &&
		      kept(plan, 2047) == (drop != 16));
		gdump_plan_destroy(plan);
	}
	source_close(&f->source);
}

/* Folios go as a whole, or when they make no sense not at all. */
static void test_folios(void)
{
	struct fake *f = kernel();
	struct gdump_plan *plan;

	put_folio(f, 264, 3, LRU, 0x1001, 1);
	put_folio(f, 280, 2, 0, 0, 2);          /* hugetlb */
	put_folio(f, 290, 2, LRU, 0x1001, 1);   /* not aligned */
	put_folio(f, 296, 3, LRU, 0x1001, 1);
	put(f, PAGES + 297 * PAGE_STRUCT + 8, 0, 8); /* without a tail */
	put_folio(f, 304, 3, LRU, 0x1001, 1);
	put(f, PAGES + 305 * PAGE_STRUCT + 17, 200, 1); /* of a size that there is not */
	put_free(f, 316, 3);                    /* not aligned */
	plan = plan_of(f, 31);
	for (uint64_t pfn = 256; pfn < 320; pfn++)
		CHECK_INT(kept(plan, pfn),
			  !(pfn >= 264 && pfn < 272) && !(pfn >= 280 && pfn < 284));
	CHECK_INT(plan->inconsistent, 4);
	gdump_plan_destroy(plan);
	source_close(&f->source);
}

/* Fewer are free than look so: those are kept, and what else was asked for goes. */
static void test_free_count(void)
{
	struct fake *f = kernel();
	struct gdump_plan *plan;

	put_page(f, 256, LRU, 0x1000, (uint32_t)-1);
	put(f, NODE + VM_STAT, 7, 8);
	put(f, NODE + 256 + VM_STAT, (uint64_t)-3, 8);
	plan = plan_of(f, 31);
	CHECK(gdump_plan_warning(plan) && strstr(gdump_plan_warning(plan), "1536 look free"));
	CHECK_INT(gdump_plan_dropped(plan, GDUMP_DROP_FREE), 0);
	CHECK_INT(gdump_plan_dropped(plan, GDUMP_DROP_CACHE), 1);
	CHECK_INT(gdump_plan_kept(plan), NUM_PAGES - 1);
	CHECK(kept(plan, 512) && kept(plan, 2047) && !kept(plan, 256));
	gdump_plan_destroy(plan);

	/* nothing is known: as if it were right */
	set(f, NODES, 2, 0x12345);
	plan = plan_of(f, 16);
	CHECK(!gdump_plan_warning(plan));
	CHECK_INT(gdump_plan_dropped(plan, GDUMP_DROP_FREE), 1536);
	gdump_plan_destroy(plan);
	source_close(&f->source);
}

/* A memory map that calls the kernel's own pages free is not believed at all. */
static void test_contradiction(void)
{
	struct fake *f = kernel();
	struct gdump_plan *plan;

	put_free(f, TOP / PAGE, 0);
	plan = plan_of(f, 31);
	CHECK(gdump_plan_warning(plan) && strstr(gdump_plan_warning(plan), "contradict themselves"));
	CHECK_INT(gdump_plan_kept(plan), NUM_PAGES);
	gdump_plan_destroy(plan);
	source_close(&f->source);
}

int main(void)
{
	test_kinds();
	test_folios();
	test_free_count();
	test_contradiction();
	return check_done();
}
