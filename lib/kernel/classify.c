/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "classify.h"

#include <stdio.h>
#include <string.h>

#include "../util/bits.h"
#include "../machine/vmcoreinfo.h"

enum { MAX_ORDER = 22 };

static uint64_t page_load(const unsigned char *p, bool big, unsigned int size)
{
	uint64_t v = 0;

	memcpy(big ? (unsigned char *)&v + 8 - size : (unsigned char *)&v, p, size);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return big ? v : __builtin_bswap64(v);
#else
	return big ? __builtin_bswap64(v) : v;
#endif
}

uint64_t page_flags(const struct page_layout *k, const unsigned char *page)
{
	return page_load(page + k->flags, k->big, 8);
}

bool page_is_tail(const struct page_layout *k, const unsigned char *page)
{
	return page_load(page + k->compound, k->big, 8) & 1;
}

static bool page_has_type(struct page_type t, uint32_t mapcount)
{
	return t.mask && (mapcount & t.mask) == (t.value & t.mask);
}

/* Whether @mapcount is a page type instead of a count (Linux's PAGE_MAPCOUNT_RESERVE).  Such
 * a page is not mapped by any process, and its owner uses the other words as it likes.
 */
static bool page_is_typed(uint32_t mapcount)
{
	return mapcount >> 31 && mapcount < (uint32_t)-128;
}

/* The order of the folio whose head is @page; -1: it is not valid. */
static int page_folio_order(const struct page_layout *k, const unsigned char *page, bool has_next,
			    uint64_t pfn)
{
	const unsigned char *next = page + k->size;
	uint64_t order;

	if (k->order_form == ORDER_UNKNOWN)
		return 0;
	if (!has_next || !page_is_tail(k, next))
		return -1;
	if (k->order_form == ORDER_FLAGS_1)
		order = page_load(next + k->flags, k->big, 8) & 0xff;
	else
		order = page[k->order_off];
	if (!order || order > MAX_ORDER || pfn & (((uint64_t)1 << order) - 1))
		return -1;
	return (int)order;
}

static bool page_is_hugetlb(const struct page_layout *k, const unsigned char *page,
			    uint32_t mapcount)
{
	if (k->hugetlb.mask)
		return page_has_type(k->hugetlb, mapcount);
	if (k->hugetlb_flag)
		return page_load(page + k->size + k->flags, k->big, 8) & k->hugetlb_flag;
	return k->dtor_off && page[k->dtor_off] == k->hugetlb_dtor;
}

static struct verdict classify_block(uint64_t pfn, uint64_t order, uint32_t num_orders)
{
	if (order >= num_orders || pfn & (((uint64_t)1 << order) - 1))
		return (struct verdict){ .inconsistent = true };
	return (struct verdict){ .why = GDUMP_DROP_FREE, .order = (unsigned int)order };
}

/* Decide by flags and mapping alone. */
static unsigned int classify_reason(const struct page_layout *k, uint64_t flags, uint64_t mapping,
				    unsigned int drop, bool slab)
{
	const bool anon = mapping & 1 && !slab;
	const bool cache = flags & k->lru || ((flags & k->swapbacked) && (flags & k->swapcache));

	if (cache && !anon && drop & (GDUMP_DROP_CACHE | GDUMP_DROP_CACHE_PRIVATE) &&
	    !(flags & k->has_private))
		return GDUMP_DROP_CACHE;
	if (cache && !anon && drop & GDUMP_DROP_CACHE_PRIVATE && flags & k->has_private)
		return GDUMP_DROP_CACHE_PRIVATE;
	if (anon && drop & GDUMP_DROP_USER)
		return GDUMP_DROP_USER;
	return 0;
}

struct verdict classify(const struct page_layout *k, const unsigned char *page, bool has_next,
			uint64_t pfn, unsigned int drop)
{
	const uint64_t flags = page_load(page + k->flags, k->big, 8);
	const uint32_t mapcount = (uint32_t)page_load(page + k->mapcount, k->big, 4);
	const bool slab = flags & k->slab || page_has_type(k->slab_type, mapcount);
	const bool head = flags & k->head;
	unsigned int why;
	int order = 0;

	if (page_is_tail(k, page))
		return (struct verdict){ 0 };
	if (page_has_type(k->buddy, mapcount) && !slab)
		return drop & GDUMP_DROP_FREE ?
		       classify_block(pfn, page_load(page + k->private, k->big, 8), k->num_orders) :
		       (struct verdict){ 0 };
	if (page_has_type(k->unaccepted, mapcount))
		return drop & GDUMP_DROP_FREE
			       ? classify_block(pfn, k->num_orders - 1, k->num_orders)
			       : (struct verdict){0};
	why = page_is_typed(mapcount) && !page_has_type(k->hugetlb, mapcount) ?
	      0 : classify_reason(k, flags, page_load(page + k->mapping, k->big, 8), drop, slab);
	if (head) {
		order = page_folio_order(k, page, has_next, pfn);
		if (order >= 0 && !why && drop & GDUMP_DROP_USER && has_next &&
		    page_is_hugetlb(k, page, mapcount))
			why = GDUMP_DROP_USER;
	}
	if (!why && flags & k->hwpoison)
		return (struct verdict){ .why = GDUMP_DROP_HWPOISON };
	if (!why && page_has_type(k->offline, mapcount) && !slab)
		why = GDUMP_DROP_OFFLINE;
	if (order < 0)
		return (struct verdict){ .inconsistent = why != 0 };
	return (struct verdict){ .why = why, .order = (unsigned int)order };
}

enum page_kind page_kind_of(const struct page_layout *k, const unsigned char *page, bool has_next,
			    uint64_t pfn, unsigned int *order)
{
	const unsigned int all = GDUMP_DROP_FREE | GDUMP_DROP_CACHE | GDUMP_DROP_CACHE_PRIVATE |
				 GDUMP_DROP_USER;
	const struct verdict v = classify(k, page, has_next, pfn, all);
	const uint64_t flags = page_load(page + k->flags, k->big, 8);
	const uint32_t mapcount = (uint32_t)page_load(page + k->mapcount, k->big, 4);

	*order = v.order;
	switch (v.why) {
	case GDUMP_DROP_FREE:
		return PAGE_FREE;
	case GDUMP_DROP_CACHE:
	case GDUMP_DROP_CACHE_PRIVATE:
		return PAGE_CACHE;
	case GDUMP_DROP_USER:
		return flags & k->head && has_next && page_is_hugetlb(k, page, mapcount) ? PAGE_HUGETLB
											: PAGE_ANON;
	case GDUMP_DROP_OFFLINE:
	case GDUMP_DROP_HWPOISON:
		return PAGE_OFFLINE;
	default:
		return flags & k->slab || page_has_type(k->slab_type, mapcount) ? PAGE_SLAB : PAGE_KERNEL;
	}
}

static bool page_layout_offset(const struct image *image, const char *key, uint32_t size,
			       uint32_t *ret)
{
	uint64_t v;

	if (!vmcoreinfo_decimal(image, key, &v) || v > size - 8)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* The mask of the flag whose number is in @key; 0: VMCOREINFO lacks it. */
static uint64_t page_layout_flag(const struct image *image, const char *key)
{
	uint64_t bit;

	return vmcoreinfo_number(image, key, &bit) && bit < 64 ? (uint64_t)1 << bit : 0;
}

/* Which bits are the type depends on the age of the kernel: all of them, later the upper
 * half, then the top byte.  The others belong to the owner of the page.
 */
static struct page_type page_layout_type(const struct image *image, const char *key)
{
	uint64_t v;
	uint32_t value;

	if (!vmcoreinfo_number(image, key, &v))
		return (struct page_type){ 0 };
	value = (uint32_t)v;
	if (!(value & 0xffffff))
		return (struct page_type){ value, 0xff000000 };
	if ((value & 0xffff) == 0xffff)
		return (struct page_type){ value, 0xffff0000 };
	return (struct page_type){ value, 0xffffffff };
}

static void page_layout_read_order(const struct image *image, struct page_layout *k)
{
	uint64_t order, dtor, hugetlb;

	k->hugetlb = page_layout_type(image, "PAGE_HUGETLB_MAPCOUNT_VALUE");
	k->hugetlb_flag = page_layout_flag(image, "PG_hugetlb");
	if (k->hugetlb.mask || k->hugetlb_flag) {
		k->order_form = ORDER_FLAGS_1;
		return;
	}
	if (vmcoreinfo_decimal(image, "OFFSET(folio._folio_order)", &order) &&
	    vmcoreinfo_decimal(image, "OFFSET(folio._folio_dtor)", &dtor)) {
		k->order_form = ORDER_FOLIO;    /* counted from the head */
	} else if (vmcoreinfo_decimal(image, "OFFSET(page.compound_order)", &order) &&
		   vmcoreinfo_decimal(image, "OFFSET(page.compound_dtor)", &dtor)) {
		k->order_form = ORDER_COMPOUND;
		order += k->size;
		dtor += k->size;
	} else {
		return;
	}
	if (order >= 2 * k->size || dtor >= 2 * k->size) {
		k->order_form = ORDER_UNKNOWN;
		return;
	}
	k->order_off = (uint32_t)order;
	if (vmcoreinfo_number(image, "HUGETLB_PAGE_DTOR", &hugetlb)) {
		k->dtor_off = (uint32_t)dtor;
		k->hugetlb_dtor = (uint8_t)hugetlb;
	}
}

static bool page_layout_read_flags(const struct image *image, struct page_layout *k,
				   const char **missing)
{
	uint64_t head;

	k->lru = page_layout_flag(image, "PG_lru");
	k->swapcache = page_layout_flag(image, "PG_swapcache");
	k->swapbacked = page_layout_flag(image, "PG_swapbacked");
	k->has_private = page_layout_flag(image, "PG_private");
	k->slab = page_layout_flag(image, "PG_slab");
	k->hwpoison = page_layout_flag(image, "PG_hwpoison");
	k->slab_type = page_layout_type(image, "PAGE_SLAB_MAPCOUNT_VALUE");
	if (!vmcoreinfo_number(image, "PG_head_mask", &head))
		return *missing = "NUMBER(PG_head_mask)", false;
	k->head = head;
	if (!k->lru || !k->swapcache || !k->swapbacked || !k->has_private)
		return *missing = "the number of a page flag", false;
	if (!k->slab && !k->slab_type.mask)
		return *missing = "the mark of slab pages", false;
	return true;
}

bool page_layout_read(const struct image *image, struct page_layout *ret, const char **missing)
{
	struct page_layout k = { .big = image->big };
	uint64_t size, orders;

	if (!vmcoreinfo_decimal(image, "SIZE(page)", &size) || size < 32 || size > 256 || size % 8)
		return *missing = "SIZE(page)", false;
	k.size = (uint32_t)size;
	if (!page_layout_offset(image, "OFFSET(page.flags)", k.size, &k.flags) ||
	    !page_layout_offset(image, "OFFSET(page.mapping)", k.size, &k.mapping) ||
	    !page_layout_offset(image, "OFFSET(page._mapcount)", k.size + 4, &k.mapcount) ||
	    !page_layout_offset(image, "OFFSET(page.private)", k.size, &k.private))
		return *missing = "an offset in struct page", false;
	if (!page_layout_offset(image, "OFFSET(page.compound_head)", k.size, &k.compound) &&
	    !page_layout_offset(image, "OFFSET(page.compound_info)", k.size, &k.compound))
		return *missing = "OFFSET(page.compound_head)", false;
	if (!page_layout_read_flags(image, &k, missing))
		return false;
	k.buddy = page_layout_type(image, "PAGE_BUDDY_MAPCOUNT_VALUE");
	k.offline = page_layout_type(image, "PAGE_OFFLINE_MAPCOUNT_VALUE");
	k.unaccepted = page_layout_type(image, "PAGE_UNACCEPTED_MAPCOUNT_VALUE");
	if (!k.buddy.mask)
		return *missing = "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", false;
	if (!vmcoreinfo_decimal(image, "LENGTH(zone.free_area)", &orders) || !orders || orders > 32)
		return *missing = "LENGTH(zone.free_area)", false;
	k.num_orders = (uint32_t)orders;
	page_layout_read_order(image, &k);
	*ret = k;
	return true;
}
