/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kvm_slots.c - the memory slots that a process has given to KVM, from the host's kernel
 *
 * KVM has no call that lists them, and its other calls work only in the process that made the
 * virtual machine.  So we look at KVM's own data: "vm_list" has all virtual machines of the host,
 * each with the thread that made it, and its slots in a tree (since Linux 5.17) or an array.  All
 * offsets come from the types of the running kernel.  What the kernel holds may change while we
 * look: each list and tree is followed for a limited number of steps.
 *
 * Facts: Linux's include/linux/kvm_host.h and include/uapi/linux/kvm.h.
 */
#include "kvm_slots.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "host_kernel.h"

enum {
	MAX_VMS = 1 << 16, MAX_SLOTS = 1 << 16, MAX_DEPTH = 64,
	SLOT_READONLY = 1 << 1, SLOT_GUEST_MEMFD = 1 << 2,      /* KVM_MEM_...          */
};

struct kvm_slots {
	struct host_kernel *kernel;
	uint64_t vm;                    /* address of its struct kvm            */
	struct btf_field memslots, tree, node_idx, used, array;
	struct btf_field left, right, node;
	struct btf_field base_gfn, npages, hva, flags;
	uint32_t slot_size, node_size;
	bool has_tree;
};

/* The types of all that is read, and where they go */
#define FIELD(type, member, to) { type, member, offsetof(struct kvm_slots, to) }
static const struct slots_field {
	const char *type, *member;
	size_t to;
} slots_fields[] = {
	FIELD("kvm", "memslots", memslots),
	FIELD("kvm_memory_slot", "base_gfn", base_gfn),
	FIELD("kvm_memory_slot", "npages", npages),
	FIELD("kvm_memory_slot", "userspace_addr", hva),
	FIELD("kvm_memory_slot", "flags", flags),
}, slots_tree_fields[] = {
	FIELD("kvm_memslots", "gfn_tree", tree),
	FIELD("kvm_memslots", "node_idx", node_idx),
	FIELD("kvm_memory_slot", "gfn_node", node),
	FIELD("rb_node", "rb_left", left),
	FIELD("rb_node", "rb_right", right),
}, slots_array_fields[] = {
	FIELD("kvm_memslots", "used_slots", used),
};
#undef FIELD

/* False: one of them is missing. */
static bool slots_find_fields(struct kvm_slots *k, const struct slots_field *fields, size_t num)
{
	const struct btf *types = host_kernel_types(k->kernel);

	for (size_t i = 0; i < num; i++) {
		struct btf_field *to = (struct btf_field *)((char *)k + fields[i].to);

		if (!btf_field(types, fields[i].type, fields[i].member, to))
			return false;
	}
	return true;
}

static struct gdump_error *slots_find_types(struct kvm_slots *k)
{
	const struct btf *types = host_kernel_types(k->kernel);

	k->slot_size = btf_size(types, "kvm_memory_slot");
	k->node_size = btf_size(types, "rb_node");
	k->has_tree = slots_find_fields(k, slots_tree_fields, ARRAY_SIZE(slots_tree_fields));
	if (!k->has_tree) {
		/* an array without a size is at the end of its struct */
		k->array.off = btf_size(types, "kvm_memslots");
		btf_field(types, "kvm_memslots", "memslots", &k->array);
	}
	if (slots_find_fields(k, slots_fields, ARRAY_SIZE(slots_fields)) &&
	    (k->has_tree ||
	     slots_find_fields(k, slots_array_fields, ARRAY_SIZE(slots_array_fields))))
		return NULL;
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "this host's kernel does not describe KVM's memory slots: there is no /sys/kernel/btf/kvm (CONFIG_DEBUG_INFO_BTF_MODULES), or it is of an unknown version");
}

static struct gdump_error *slots_get(const struct kvm_slots *k, uint64_t base,
				     const struct btf_field *f, uint64_t *ret)
{
	union { uint8_t u8; uint16_t u16; uint32_t u32; uint64_t u64; } u = { .u64 = 0 };
	struct gdump_error *err = host_kernel_read(k->kernel, base + f->off, &u,
						   MIN(f->size, (uint32_t)sizeof(u)));

	*ret = f->size >= 8 ? u.u64 : f->size == 4 ? u.u32 : f->size == 2 ? u.u16 : u.u8;
	return err;
}

/* Whether thread @tid is one of process @pid: KVM notes the thread that made the virtual machine. */
static bool slots_is_thread_of(uint64_t tid, pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%" PRIu64, (int)pid, tid);
	return !access(path, F_OK);
}

/* Look at the next virtual machine of the list, whose node is at *@node. */
static struct gdump_error *slots_look_at_vm(struct kvm_slots *k, pid_t pid,
					    const struct btf_field *list,
					    const struct btf_field *owner, uint64_t *node)
{
	const struct btf_field next = { 0, sizeof(uint64_t) };
	const uint64_t vm = *node - list->off;
	uint64_t tid;
	struct gdump_error *err = slots_get(k, vm, owner, &tid);

	if (!err && slots_is_thread_of(tid, pid)) {
		if (k->vm)
			return error_new(GDUMP_ERR_UNSUPPORTED,
					 "process %d has several virtual machines", (int)pid);
		k->vm = vm;
	}
	return err ? err : slots_get(k, *node, &next, node);
}

static struct gdump_error *slots_find_vm(struct kvm_slots *k, pid_t pid)
{
	const struct btf *types = host_kernel_types(k->kernel);
	const struct btf_field next = { 0, sizeof(uint64_t) };
	struct btf_field list, owner;
	struct gdump_error *err;
	uint64_t head, node;

	if (!btf_field(types, "kvm", "vm_list", &list) ||
	    !btf_field(types, "kvm", "userspace_pid", &owner))
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "this host's kernel does not describe KVM's virtual machines");
	err = host_kernel_symbol("vm_list", &head);
	if (!err)
		err = slots_get(k, head, &next, &node);
	for (unsigned int i = 0; !err && node != head && i < MAX_VMS; i++)
		err = slots_look_at_vm(k, pid, &list, &owner, &node);
	if (!err && !k->vm)
		err = error_new(GDUMP_ERR_NODATA, "process %d has no virtual machine of KVM", (int)pid);
	return err;
}

struct gdump_error *kvm_slots_open(pid_t pid, struct kvm_slots **ret)
{
	CLEANUP_KVM_SLOTS struct kvm_slots *k = calloc(1, sizeof(*k));
	struct gdump_error *err;

	if (!k)
		return error_nomem();
	err = host_kernel_open("kvm", &k->kernel);
	if (!err)
		err = slots_find_types(k);
	if (!err)
		err = slots_find_vm(k, pid);
	if (err)
		return err;
	*ret = TAKE_PTR(k);
	return NULL;
}

void kvm_slots_close(struct kvm_slots *k)
{
	if (!k)
		return;
	host_kernel_close(k->kernel);
	free(k);
}

struct slots_result {
	struct memory_map *map;
	bool has_private;
	uint32_t page_size;
};

/* Add the slot whose struct is at @slot. */
static struct gdump_error *slots_add(const struct kvm_slots *k, uint64_t slot,
				     struct slots_result *to)
{
	struct memory_map *map = to->map;
	uint64_t gfn, npages, hva, flags;
	struct gdump_error *err = slots_get(k, slot, &k->base_gfn, &gfn);

	if (!err)
		err = slots_get(k, slot, &k->npages, &npages);
	if (!err)
		err = slots_get(k, slot, &k->hva, &hva);
	if (!err)
		err = slots_get(k, slot, &k->flags, &flags);
	if (err || !npages)
		return err;
	if (map->num_slots == MAX_SLOTS || gfn > UINT64_MAX / to->page_size ||
	    npages > UINT64_MAX / to->page_size ||
	    !range_fits(gfn * to->page_size, npages * to->page_size, UINT64_MAX) ||
	    !range_fits(hva, npages * to->page_size, UINT64_MAX))
		return error_new(GDUMP_ERR_REMOTE, "KVM has an invalid memory slot: frame 0x%" PRIx64
				 ", 0x%" PRIx64 " pages at 0x%" PRIx64, gfn, npages, hva);
	if (!ARRAY_GROW(map->slots, map->num_slots))
		return error_nomem();
	map->slots[map->num_slots++] = (struct mem_slot){
		.paddr = gfn * to->page_size, .size = npages * to->page_size, .hva = hva,
		.kind = flags & SLOT_READONLY ? GDUMP_RANGE_DEVICE : GDUMP_RANGE_RAM,
	};
	to->has_private |= flags & SLOT_GUEST_MEMFD;
	return NULL;
}

static struct gdump_error *slots_walk_tree(const struct kvm_slots *k, uint64_t node,
					   uint64_t node_off, unsigned int depth,
					   struct slots_result *to)
{
	struct gdump_error *err;
	uint64_t child;

	if (!node)
		return NULL;
	if (depth == MAX_DEPTH)
		return error_new(GDUMP_ERR_REMOTE, "KVM's tree of memory slots is damaged");
	err = slots_get(k, node, &k->left, &child);
	if (!err)
		err = slots_walk_tree(k, child, node_off, depth + 1, to);
	if (!err)
		err = slots_add(k, node - node_off, to);
	if (!err)
		err = slots_get(k, node, &k->right, &child);
	return err ? err : slots_walk_tree(k, child, node_off, depth + 1, to);
}

/* @slots: the address of the struct kvm_memslots that is in use.  A slot is in two trees, of which
 * one is in use, and has a node for each.
 */
static struct gdump_error *slots_read_tree(const struct kvm_slots *k, uint64_t slots,
					   struct slots_result *to)
{
	struct btf_field tree = { k->tree.off, sizeof(uint64_t) };
	uint64_t index, root;
	struct gdump_error *err = slots_get(k, slots, &k->node_idx, &index);

	if (!err)
		err = slots_get(k, slots, &tree, &root);
	return err ? err :
	       slots_walk_tree(k, root, k->node.off + (index & 1) * k->node_size, 0, to);
}

static struct gdump_error *slots_read_array(const struct kvm_slots *k, uint64_t slots,
					    struct slots_result *to)
{
	uint64_t num;
	struct gdump_error *err = slots_get(k, slots, &k->used, &num);

	for (uint64_t i = 0; !err && i < MIN(num, (uint64_t)MAX_SLOTS); i++)
		err = slots_add(k, slots + k->array.off + i * k->slot_size, to);
	return err;
}

static int slots_by_paddr(const void *a, const void *b)
{
	const struct mem_slot *x = a, *y = b;

	return (x->paddr > y->paddr) - (x->paddr < y->paddr);
}

/* Sort them, and merge those that continue one another in the guest and in the process. */
static struct gdump_error *slots_merge(struct memory_map *map)
{
	size_t n = 0;

	qsort(map->slots, map->num_slots, sizeof(*map->slots), slots_by_paddr);
	for (size_t i = 0; i < map->num_slots; i++) {
		const struct mem_slot s = map->slots[i];
		struct mem_slot *last = n ? &map->slots[n - 1] : NULL;

		if (last && s.paddr < last->paddr + last->size)
			return error_new(GDUMP_ERR_REMOTE,
					 "two of KVM's memory slots contain the address 0x%" PRIx64,
					 s.paddr);
		if (last && s.paddr == last->paddr + last->size && s.kind == last->kind &&
		    s.hva == last->hva + last->size)
			last->size += s.size;
		else
			map->slots[n++] = s;
	}
	map->num_slots = n;
	return n ? NULL : error_new(GDUMP_ERR_NODATA, "KVM has no memory of this guest");
}

struct gdump_error *kvm_slots_read(const struct kvm_slots *k, struct memory_map *map,
				   bool *has_private)
{
	struct slots_result to = { .map = map, .page_size = (uint32_t)sysconf(_SC_PAGESIZE) };
	const struct btf_field pointer = { k->memslots.off, sizeof(uint64_t) };
	struct gdump_error *err;
	uint64_t slots;

	/* on x86, a second set has the memory of the system management mode */
	err = slots_get(k, k->vm, &pointer, &slots);
	if (!err)
		err = k->has_tree ? slots_read_tree(k, slots, &to) : slots_read_array(k, slots, &to);
	if (!err)
		err = slots_merge(map);
	*has_private = to.has_private;
	return error_prefix(err, "the memory slots of KVM");
}
