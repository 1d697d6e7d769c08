/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_mounts.c - the file systems that the first process has mounted
 *
 * The mounts of a namespace are a ring up to Linux 6.7, and a tree since.
 *
 * Facts: Linux's fs/mount.h and include/linux/rbtree.h.
 */
#include <string.h>

#include "../kernel/list_walk.h"
#include "../kernel/mount_path.h"
#include "../util/bits.h"
#include "report.h"

enum {
	MAX_MOUNTS = 100000, MAX_DEPTH = 64, MAX_PATH = 4096, NAME = 256, TYPE = 64,
	CURSOR = 0x10000000, MOUNT_READONLY = 0x40, SUPER_READONLY = 1,
};

/* A string to which member @member of struct @name at @vaddr points */
static bool mount_read_text(struct kernel *k, uint64_t vaddr, const char *name, const char *member,
			    char *ret, size_t size)
{
	uint64_t text;

	return kernel_member(k, vaddr, name, member, &text) && text && kernel_string(k, text, ret, size);
}

/* Readers of the list are in it, too. */
static void mount_add(struct report *r, uint64_t mount, struct gdump_fact *list)
{
	struct kernel *k = &r->kernel;
	uint64_t super, flags, super_flags = 0, type, frozen;
	struct mount_path path;
	struct gdump_fact *group;
	char text[NAME];

	if (!kernel_member(k, mount, "mount", "mnt.mnt_flags", &flags) || flags & CURSOR ||
	    !kernel_member(k, mount, "mount", "mnt.mnt_sb", &super) || !super ||
	    !mount_read_path(k, mount, &path))
		return;
	group = fact_group(list, "mount");
	fact_guest_text(group, "path", path.text + path.at, MAX_PATH);
	if (mount_read_text(k, mount, "mount", "mnt_devname", text, sizeof(text)))
		fact_guest_text(group, "device", text, sizeof(text));
	if (kernel_member(k, super, "super_block", "s_type", &type) &&
	    mount_read_text(k, type, "file_system_type", "name", text, TYPE))
		fact_guest_text(group, "type", text, TYPE);
	kernel_member(k, super, "super_block", "s_flags", &super_flags);
	if (flags & MOUNT_READONLY || super_flags & SUPER_READONLY)
		fact_flag(group, "read_only", true);
	if (kernel_member(k, super, "super_block", "s_writers.frozen", &frozen) && frozen)
		fact_flag(group, "frozen", true);
}

static struct gdump_error *mounts_broken(void)
{
	return error_new(GDUMP_ERR_CORRUPT, "the mounts of the first process cannot be read");
}

static struct gdump_error *mounts_add_list(struct report *r, uint64_t head, struct gdump_fact *to)
{
	struct list_walk walk;
	struct btf_field list;
	uint64_t node;

	if (!btf_field(&r->kernel.btf, "mount", "mnt_list", &list))
		return NULL;
	walk = list_walk_begin(&r->kernel, head, MAX_MOUNTS);
	while (list_walk_next(&walk, &node))
		mount_add(r, node - list.off, to);
	return walk.broken ? mounts_broken() : NULL;
}

/* In the tree's order; what has a left child waits on a stack. */
static struct gdump_error *mounts_add_tree(struct report *r, uint64_t root, struct gdump_fact *to)
{
	struct kernel *k = &r->kernel;
	uint64_t stack[MAX_DEPTH], node;
	unsigned int num = 0, left = MAX_MOUNTS;
	struct btf_field f;

	if (!btf_field(&k->btf, "mount", "mnt_node", &f) || !kernel_word(k, root, &node))
		return NULL;
	while (node || num) {
		while (node) {
			if (num == MAX_DEPTH || !left--)
				return mounts_broken();
			stack[num++] = node;
			if (!kernel_member(k, node, "rb_node", "rb_left", &node))
				return mounts_broken();
		}
		node = stack[--num];
		mount_add(r, node - f.off, to);
		if (!kernel_member(k, node, "rb_node", "rb_right", &node))
			return mounts_broken();
	}
	return NULL;
}

static uint64_t mounts_first_process(const struct report *r)
{
	for (size_t i = 0; i < r->num_tasks; i++) {
		if (r->tasks[i].pid == 1)
			return r->tasks[i].vaddr;
	}
	return kernel_symbol(&r->kernel, "init_task");
}

static struct gdump_error *mounts_collect(struct report *r, struct gdump_fact *to)
{
	const uint64_t task = mounts_first_process(r);
	struct kernel *k = &r->kernel;
	struct btf_field f;
	uint64_t proxy, space;

	if (!task || !kernel_member(k, task, "task_struct", "nsproxy", &proxy) || !proxy ||
	    !kernel_member(k, proxy, "nsproxy", "mnt_ns", &space))
		return NULL;
	if (btf_field(&k->btf, "mnt_namespace", "list", &f))
		return mounts_add_list(r, space + f.off, to);
	return btf_field(&k->btf, "mnt_namespace", "mounts.rb_node", &f)
		? mounts_add_tree(r, space + f.off, to) : NULL;
}

const struct section section_mounts = {
	.name = "mounts",
	.is_list = true,
	.needs_kernel = true,
	.no_verdict = true,
	.collect = mounts_collect,
};
