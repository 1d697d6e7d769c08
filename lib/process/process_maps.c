/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * process_maps.c - the mappings of a process
 *
 * Since 6.1 they are in a maple tree, before in a list that is sorted by address.  Facts: Linux's
 * include/linux/maple_tree.h and lib/maple_tree.c.  A pointer to a node has the type of the node in
 * bits 3 to 6; bits 0 and 1 of the root say whether it is a node.
 */
#include "process.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../kernel/mount_path.h"
#include "../util/array.h"
#include "../util/bits.h"

enum {
	MAX_MAPS = 1 << 18,
	MAX_NODES = 1 << 18,
	MAX_DEPTH = 16,
	NODE_SIZE = 256,
	TYPE_LEAF = 1, TYPE_RANGE = 2, TYPE_ARANGE = 3,
	ROOT_IS_NODE = 2, NOT_A_POINTER = 3,
	LOWEST_POINTER = 4096,
};

struct process_tree {
	struct process *p;
	unsigned int nodes;             /* that were visited                    */
};

static struct gdump_error *process_maps_broken(const struct process *p, uint64_t vaddr)
{
	return error_new(GDUMP_ERR_CORRUPT, "the mappings of process %d cannot be followed at 0x%" PRIx64,
			 p->pid, vaddr);
}

/* Add the struct vm_area_struct at @vaddr. */
static struct gdump_error *process_add_map(struct process *p, uint64_t vaddr)
{
	struct kernel *k = p->kernel;
	const uint64_t after = p->num_maps ? p->maps[p->num_maps - 1].end : 0;
	struct process_map m = { 0 };
	uint64_t pgoff = 0, file = 0;

	if (!kernel_member(k, vaddr, "vm_area_struct", "vm_start", &m.start) ||
	    !kernel_member(k, vaddr, "vm_area_struct", "vm_end", &m.end) ||
	    !kernel_member(k, vaddr, "vm_area_struct", "vm_flags", &m.flags) || m.start < after ||
	    m.end <= m.start || p->num_maps == MAX_MAPS)
		return process_maps_broken(p, vaddr);
	kernel_member(k, vaddr, "vm_area_struct", "vm_pgoff", &pgoff);
	kernel_member(k, vaddr, "vm_area_struct", "vm_file", &file);
	m.offset = pgoff * k->source->image.page_size;
	if (!ARRAY_GROW(p->maps, p->num_maps))
		return error_nomem();
	if (file)
		m.path = mount_path_of_file(k, file);
	p->maps[p->num_maps++] = m;
	return NULL;
}

/* A node of the tree, whose last slot is for addresses up to @max */
static struct gdump_error *process_walk_node(struct process_tree *t, uint64_t enode, uint64_t max,
					     unsigned int depth)
{
	struct kernel *k = t->p->kernel;
	const unsigned int type = enode >> 3 & 15;
	const char *name = type == TYPE_ARANGE ? "maple_arange_64" : "maple_range_64";
	const uint64_t node = round_down(enode, NODE_SIZE);
	unsigned char buf[NODE_SIZE];
	struct btf_field pivots, slots;
	struct gdump_error *err;

	if (type < TYPE_LEAF || type > TYPE_ARANGE || depth > MAX_DEPTH || t->nodes++ > MAX_NODES ||
	    !btf_field(&k->btf, name, "pivot", &pivots) || !btf_field(&k->btf, name, "slot", &slots) ||
	    !range_fits(pivots.off, (uint64_t)pivots.num * 8, NODE_SIZE) ||
	    !range_fits(slots.off, (uint64_t)slots.num * 8, NODE_SIZE))
		return process_maps_broken(t->p, node);
	err = walker_read(&k->walker, node, buf, sizeof(buf));
	for (uint32_t i = 0; !err && i < slots.num; i++) {
		const uint64_t slot = kernel_get(k, buf + slots.off + 8 * i, 8);
		uint64_t pivot = i < pivots.num ? kernel_get(k, buf + pivots.off + 8 * i, 8) : max;

		if (i && !pivot)
			pivot = max;
		if (type != TYPE_LEAF && slot)
			err = process_walk_node(t, slot, MIN(pivot, max), depth + 1);
		else if (slot >= LOWEST_POINTER && !(slot & NOT_A_POINTER))
			err = process_add_map(t->p, slot);
		if (pivot >= max)
			break;
	}
	return err;
}

static struct gdump_error *process_walk_tree(struct process *p, uint64_t root)
{
	struct process_tree t = { .p = p };

	if ((root & NOT_A_POINTER) == ROOT_IS_NODE && root > LOWEST_POINTER)
		return process_walk_node(&t, root, UINT64_MAX, 0);
	return root >= LOWEST_POINTER ? process_add_map(p, root) : NULL;
}

static struct gdump_error *process_walk_list(struct process *p, uint64_t vma)
{
	struct gdump_error *err = NULL;

	/* addresses ascend, so that it ends */
	while (!err && vma) {
		err = process_add_map(p, vma);
		if (!err && !kernel_member(p->kernel, vma, "vm_area_struct", "vm_next", &vma))
			err = process_maps_broken(p, vma);
	}
	return err;
}

struct gdump_error *process_read_maps(struct process *p)
{
	struct gdump_error *err;
	uint64_t first;

	if (kernel_member(p->kernel, p->mm, "mm_struct", "mm_mt.ma_root", &first))
		err = process_walk_tree(p, first);
	else if (kernel_member(p->kernel, p->mm, "mm_struct", "mmap", &first))
		err = process_walk_list(p, first);
	else
		err = error_new(GDUMP_ERR_UNSUPPORTED, "struct mm_struct has no known list of mappings");
	if (!err && !p->num_maps)
		err = error_new(GDUMP_ERR_NODATA, "process %d has nothing mapped", p->pid);
	return err;
}
