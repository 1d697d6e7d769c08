/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_memory.c - what memory is used for, and who uses most of it
 *
 * The kernel counts pages in vm_zone_stat and vm_node_stat; their indexes are enumerators, and
 * the sums are those of /proc/meminfo, which leaves out what CPUs have not added to them.
 */
#include <stdio.h>

#include "../kernel/list_walk.h"
#include "../machine/vmcoreinfo.h"
#include "../util/bits.h"
#include "memory_users.h"

enum {
	MAX_NODES = 1024, MAX_ZONES = 8, MAX_ORDERS = 32, MAX_INODES = 100000, MAX_SIZES = 32,
	NAME = 32, WATERMARK_LOW = 1,
};

struct memory {
	struct report *report;
	struct kernel *kernel;
	struct gdump_fact *to;
	uint64_t page;                  /* bytes                                */
	unsigned int word;              /* bytes of an unsigned long            */
	uint64_t low;                   /* pages: watermarks of all zones       */
	uint64_t nodes[MAX_NODES];      /* struct pglist_data of each           */
	unsigned int num_nodes;
};

/* Counts -------------------------------------------------------------------- */

/* A count may be below zero for moments: it is 0 then, as for the kernel. */
static bool memory_read_count(struct memory *m, uint64_t vaddr, uint64_t *ret)
{
	if (!vaddr || !kernel_uint(m->kernel, vaddr, m->word, ret))
		return false;
	if (*ret >> (8 * m->word - 1))
		*ret = 0;
	return true;
}

static bool memory_read_variable(struct memory *m, const char *symbol, uint64_t *ret)
{
	return memory_read_count(m, kernel_symbol(m->kernel, symbol), ret);
}

static bool memory_read_stat(struct memory *m, const char *table, const char *items,
			     const char *item, uint64_t *ret)
{
	const uint64_t vaddr = kernel_symbol(m->kernel, table);
	uint32_t i;

	return vaddr && btf_enumerator(&m->kernel->btf, items, item, &i) &&
	       memory_read_count(m, vaddr + (uint64_t)m->word * i, ret);
}

/* Some counts have moved from zones to nodes. */
static bool memory_count(struct memory *m, const char *item, uint64_t *ret)
{
	return memory_read_stat(m, "vm_node_stat", "node_stat_item", item, ret) ||
	       memory_read_stat(m, "vm_zone_stat", "zone_stat_item", item, ret);
}

static void memory_add(struct memory *m, const char *name, uint64_t pages)
{
	fact_number(m->to, name, pages * m->page, GDUMP_UNIT_BYTES);
}

/* Pages of block devices; the kernel, too, adds them up. */
static bool memory_count_buffers(struct memory *m, uint64_t *ret)
{
	const uint64_t variable = kernel_symbol(m->kernel, "blockdev_superblock");
	struct btf_field inodes, list;
	struct list_walk walk;
	uint64_t super, node;

	*ret = 0;
	if (!variable || !kernel_word(m->kernel, variable, &super) ||
	    !btf_field(&m->kernel->btf, "super_block", "s_inodes", &inodes) ||
	    !btf_field(&m->kernel->btf, "inode", "i_sb_list", &list))
		return false;
	walk = list_walk_begin(m->kernel, super + inodes.off, MAX_INODES);
	while (list_walk_next(&walk, &node)) {
		uint64_t mapping, pages;

		if (!kernel_member(m->kernel, node - list.off, "inode", "i_mapping", &mapping) ||
		    !kernel_member(m->kernel, mapping, "address_space", "nrpages", &pages))
			return false;
		*ret += pages;
	}
	return !walk.broken;
}

static void memory_add_cache(struct memory *m)
{
	uint64_t files, swap = 0, buffers;

	if (!memory_count(m, "NR_FILE_PAGES", &files))
		return;
	memory_count(m, "NR_SWAPCACHE", &swap);
	if (!memory_count_buffers(m, &buffers) || swap > files || buffers > files - swap) {
		memory_add(m, "page_cache", files);
		return;
	}
	memory_add(m, "page_cache", files - swap - buffers);
	memory_add(m, "buffers", buffers);
}

/* What could be had without swapping, as the kernel estimates it */
static void memory_add_available(struct memory *m)
{
	uint64_t free, reserve, active, inactive, slab, misc = 0, cache;

	if (!m->low || !memory_count(m, "NR_FREE_PAGES", &free) ||
	    !memory_read_variable(m, "totalreserve_pages", &reserve) ||
	    !memory_count(m, "NR_ACTIVE_FILE", &active) ||
	    !memory_count(m, "NR_INACTIVE_FILE", &inactive) ||
	    !memory_count(m, "NR_SLAB_RECLAIMABLE_B", &slab))
		return;
	memory_count(m, "NR_KERNEL_MISC_RECLAIMABLE", &misc);
	cache = active + inactive;
	cache -= MIN(cache / 2, m->low);
	slab += misc;
	slab -= MIN(slab / 2, m->low);
	free += cache + slab;
	memory_add(m, "available", free > reserve ? free - reserve : 0);
}

static void memory_add_counts(struct memory *m)
{
	static const struct {
		const char *item, *name;
	} counts[] = {
		{ "NR_ANON_MAPPED", "anonymous" },
		{ "NR_SHMEM", "shmem" },
		{ "NR_SLAB_RECLAIMABLE_B", "slab_reclaimable" },
		{ "NR_SLAB_UNRECLAIMABLE_B", "slab_unreclaimable" },
		{ "NR_PAGETABLE", "page_tables" },
		{ "NR_FILE_DIRTY", "dirty" },
		{ "NR_WRITEBACK", "writeback" },
	};
	uint64_t pages;

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		if (memory_count(m, counts[i].item, &pages))
			memory_add(m, counts[i].name, pages);
	}
	if (memory_count(m, "NR_KERNEL_STACK_KB", &pages))
		fact_number(m->to, "kernel_stacks", pages * 1024, GDUMP_UNIT_BYTES);
}

/* The pools of each size of huge pages */
static void memory_add_hugetlb(struct memory *m)
{
	const uint64_t states = kernel_symbol(m->kernel, "hstates");
	const uint64_t variable = kernel_symbol(m->kernel, "hugetlb_max_hstate");
	const uint32_t size = btf_size(&m->kernel->btf, "hstate");
	uint64_t num, order, all, unused, sum = 0, sum_unused = 0;

	if (!states || !variable || !size || !kernel_uint(m->kernel, variable, 4, &num) ||
	    num > MAX_SIZES)
		return;
	for (uint64_t i = 0; i < num; i++) {
		if (!kernel_member(m->kernel, states + i * size, "hstate", "order", &order) ||
		    order >= MAX_ORDERS ||
		    !kernel_member(m->kernel, states + i * size, "hstate", "nr_huge_pages", &all) ||
		    !kernel_member(m->kernel, states + i * size, "hstate", "free_huge_pages", &unused))
			return;
		sum += all << order;
		sum_unused += unused << order;
	}
	memory_add(m, "hugetlb", sum);
	if (sum)
		memory_add(m, "hugetlb_free", sum_unused);
}

static void memory_add_swap(struct memory *m)
{
	uint64_t total, free;

	if (!memory_read_variable(m, "total_swap_pages", &total) ||
	    !memory_read_variable(m, "nr_swap_pages", &free))
		return;
	memory_add(m, "swap_total", total);
	if (total)
		memory_add(m, "swap_free", free);
}

/* Events -------------------------------------------------------------------- */

/* How often something has happened, on all CPUs */
static bool memory_count_event(struct memory *m, const char *event, uint64_t *ret)
{
	const unsigned int num = kernel_max_cpus(m->kernel);
	uint64_t vaddr, n;
	bool any = false;
	uint32_t i;

	*ret = 0;
	if (!btf_enumerator(&m->kernel->btf, "vm_event_item", event, &i))
		return false;
	for (unsigned int cpu = 0; cpu < num; cpu++) {
		if (!kernel_uses_cpu(m->kernel, cpu))
			continue;
		if (!kernel_percpu(m->kernel, "vm_event_states", cpu, &vaddr) ||
		    !kernel_word(m->kernel, vaddr + (uint64_t)m->word * i, &n))
			return false;
		*ret += n;
		any = true;
	}
	return any;
}

static void memory_add_events(struct memory *m)
{
	uint64_t taken, returned, kills;

	if (memory_count(m, "NR_BALLOON_PAGES", &taken))
		memory_add(m, "balloon", taken);
	else if (memory_count_event(m, "BALLOON_INFLATE", &taken) &&
		 memory_count_event(m, "BALLOON_DEFLATE", &returned) && taken > returned)
		memory_add(m, "balloon", taken - returned);
	if (memory_count_event(m, "OOM_KILL", &kills))
		fact_number(m->to, "oom_kills", kills, GDUMP_UNIT_NONE);
}

/* Zones --------------------------------------------------------------------- */

static void memory_find_nodes(struct memory *m)
{
	const struct image *image = &m->report->source->image;
	uint64_t table, num, node;

	if (vmcoreinfo_symbol(image, "contig_page_data", &node)) {
		m->nodes[m->num_nodes++] = node;
		return;
	}
	if (!vmcoreinfo_symbol(image, "node_data", &table) ||
	    !vmcoreinfo_decimal(image, "LENGTH(node_data)", &num))
		return;
	for (uint64_t i = 0; i < MIN(num, MAX_NODES); i++) {
		if (kernel_word(m->kernel, table + m->word * i, &node) && node)
			m->nodes[m->num_nodes++] = node;
	}
}

typedef void memory_zone_fn(struct memory *m, struct gdump_fact *to, uint64_t node, uint64_t zone);

/* Call @fn for each zone that has pages. */
static void memory_for_zones(struct memory *m, struct gdump_fact *to, memory_zone_fn *fn)
{
	const uint32_t size = btf_size(&m->kernel->btf, "zone");
	struct btf_field zones;
	uint64_t present;

	if (!size || !btf_field(&m->kernel->btf, "pglist_data", "node_zones", &zones))
		return;
	for (unsigned int i = 0; i < m->num_nodes; i++) {
		for (uint32_t k = 0; k < MIN(zones.num, MAX_ZONES); k++) {
			const uint64_t zone = m->nodes[i] + zones.off + (uint64_t)k * size;

			if (kernel_member(m->kernel, zone, "zone", "present_pages", &present) && present)
				fn(m, to, m->nodes[i], zone);
		}
	}
}

static bool memory_read_watermark(struct memory *m, uint64_t zone, unsigned int i, uint64_t *ret)
{
	uint64_t boost = 0;
	char member[32];

	snprintf(member, sizeof(member), "_watermark[%u]", i);
	if (!kernel_member(m->kernel, zone, "zone", member, ret))
		return false;
	kernel_member(m->kernel, zone, "zone", "watermark_boost", &boost);
	*ret += boost;
	return true;
}

static void memory_add_low(struct memory *m, struct gdump_fact *to, uint64_t node, uint64_t zone)
{
	uint64_t pages;

	(void)to;
	(void)node;
	if (memory_read_watermark(m, zone, WATERMARK_LOW, &pages))
		m->low += pages;
}

static bool memory_read_free(struct memory *m, uint64_t zone, uint64_t *ret)
{
	struct btf_field stat;
	uint32_t i;

	return btf_enumerator(&m->kernel->btf, "zone_stat_item", "NR_FREE_PAGES", &i) &&
	       btf_field(&m->kernel->btf, "zone", "vm_stat", &stat) && i < stat.num &&
	       memory_read_count(m, zone + stat.off + (uint64_t)m->word * i, ret);
}

/* The largest block that is free: if it is small, memory is fragmented. */
static void memory_add_largest_free(struct memory *m, struct gdump_fact *to, uint64_t zone)
{
	struct btf_field areas, area, count;
	uint64_t num;

	if (!btf_field(&m->kernel->btf, "zone", "free_area", &areas) || areas.num > MAX_ORDERS ||
	    !btf_field(&m->kernel->btf, "zone", "free_area[0]", &area) ||
	    !btf_field(&m->kernel->btf, "free_area", "nr_free", &count))
		return;
	for (uint32_t order = areas.num; order-- > 0;) {
		const uint64_t vaddr = zone + areas.off + (uint64_t)order * area.size + count.off;

		if (!kernel_uint(m->kernel, vaddr, count.size, &num))
			return;
		if (num) {
			fact_number(to, "largest_free", m->page << order, GDUMP_UNIT_BYTES);
			return;
		}
	}
}

static void memory_add_zone(struct memory *m, struct gdump_fact *list, uint64_t node, uint64_t zone)
{
	static const char *const marks[] = { "min", "low", "high" };
	struct gdump_fact *group = fact_group(list, "zone");
	uint64_t number, vaddr, pages;
	char name[NAME];

	if (kernel_member(m->kernel, node, "pglist_data", "node_id", &number))
		fact_number(group, "node", number, GDUMP_UNIT_NONE);
	if (kernel_member(m->kernel, zone, "zone", "name", &vaddr) &&
	    kernel_string(m->kernel, vaddr, name, sizeof(name)))
		fact_guest_text(group, "name", name, sizeof(name));
	if (kernel_member(m->kernel, zone, "zone", "managed_pages", &pages))
		fact_number(group, "managed", pages * m->page, GDUMP_UNIT_BYTES);
	if (memory_read_free(m, zone, &pages))
		fact_number(group, "free", pages * m->page, GDUMP_UNIT_BYTES);
	for (unsigned int i = 0; i < ARRAY_SIZE(marks); i++) {
		if (memory_read_watermark(m, zone, i, &pages))
			fact_number(group, marks[i], pages * m->page, GDUMP_UNIT_BYTES);
	}
	memory_add_largest_free(m, group, zone);
}

/* The section ----------------------------------------------------------------- */

static void memory_add_total(struct memory *m)
{
	uint64_t pages;

	/* totalram_pages up to Linux 4.20 */
	if (memory_read_variable(m, "_totalram_pages", &pages) ||
	    memory_read_variable(m, "totalram_pages", &pages))
		memory_add(m, "total", pages);
	if (memory_count(m, "NR_FREE_PAGES", &pages))
		memory_add(m, "free", pages);
}

static struct gdump_error *memory_collect(struct report *r, struct gdump_fact *to)
{
	struct memory m = {
		.report = r, .kernel = &r->kernel, .to = to,
		.page = r->source->image.page_size, .word = r->source->image.is64 ? 8 : 4,
	};

	if (!r->kernel.btf.num)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the kernel has no BTF, which describes its counters");
	memory_find_nodes(&m);
	memory_for_zones(&m, NULL, memory_add_low);
	memory_add_total(&m);
	memory_add_available(&m);
	memory_add_cache(&m);
	memory_add_counts(&m);
	memory_add_hugetlb(&m);
	memory_add_swap(&m);
	memory_add_events(&m);
	memory_for_zones(&m, fact_list(to, "zones"), memory_add_zone);
	memory_add_processes(r, fact_list(to, "processes"));
	memory_add_slabs(r, fact_list(to, "slabs"));
	return NULL;
}

const struct section section_memory = {
	.name = "memory",
	.needs_kernel = true,
	.no_verdict = true,
	.collect = memory_collect,
};
