/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kernel/zones.c - the page allocator's count of free pages
 *
 * The sum over the zones of all nodes.  CPUs update the counts in batches (Linux's
 * mm/vmstat.c), so each may be wrong by about 125 pages per CPU and zone.
 */
#include "zones.h"

#include "../machine/vmcoreinfo.h"

enum { MAX_NODES = 4096, MAX_ZONES = 8 };

struct zone_layout {
	uint64_t node_zones, nr_zones;  /* offsets in pglist_data               */
	uint64_t zone_size, free;       /* of a zone; of its count in it        */
};

static bool zone_layout_read(const struct image *image, struct zone_layout *l)
{
	uint64_t vm_stat, index;

	if (!vmcoreinfo_decimal(image, "OFFSET(pglist_data.node_zones)", &l->node_zones) ||
	    !vmcoreinfo_decimal(image, "OFFSET(pglist_data.nr_zones)", &l->nr_zones) ||
	    !vmcoreinfo_decimal(image, "SIZE(zone)", &l->zone_size) ||
	    !vmcoreinfo_decimal(image, "OFFSET(zone.vm_stat)", &vm_stat) ||
	    !vmcoreinfo_number(image, "NR_FREE_PAGES", &index) || index > 64 ||
	    l->zone_size > 65536 || vm_stat > l->zone_size)
		return false;
	l->free = vm_stat + 8 * index;
	return true;
}

static bool zones_read_uint(struct walker *w, uint64_t vaddr, unsigned int size, uint64_t *ret)
{
	CLEANUP_ERROR struct gdump_error *err = walker_uint(w, vaddr, size, ret);

	return !err;
}

static bool zones_add_node(struct walker *w, const struct zone_layout *l, uint64_t node,
			   uint64_t *sum)
{
	uint64_t num, free;

	if (!zones_read_uint(w, node + l->nr_zones, 4, &num) || num > MAX_ZONES)
		return false;
	for (uint64_t i = 0; i < num; i++) {
		if (!zones_read_uint(w, node + l->node_zones + i * l->zone_size + l->free, 8,
				     &free))
			return false;
		/* below zero while much is in the batches of CPUs */
		if (!(free >> 63))
			*sum += free;
	}
	return true;
}

bool zones_free_pages(struct walker *w, uint64_t *ret)
{
	const struct image *image = &w->source->image;
	uint64_t nodes, num, node, sum = 0;
	struct zone_layout l;

	if (!zone_layout_read(image, &l))
		return false;
	if (vmcoreinfo_symbol(image, "contig_page_data", &node)) {
		if (!zones_add_node(w, &l, node, &sum))
			return false;
	} else {
		if (!vmcoreinfo_symbol(image, "node_data", &nodes) ||
		    !vmcoreinfo_decimal(image, "LENGTH(node_data)", &num) || num > MAX_NODES)
			return false;
		for (uint64_t i = 0; i < num; i++) {
			if (!zones_read_uint(w, nodes + 8 * i, 8, &node) ||
			    (node && !zones_add_node(w, &l, node, &sum)))
				return false;
		}
	}
	*ret = sum;
	return true;
}
