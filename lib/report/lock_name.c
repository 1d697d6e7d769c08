/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "lock_name.h"

#include <stdio.h>
#include <string.h>

#include "../kernel/list_walk.h"
#include "../util/bits.h"
#include "block_device.h"
#include "rpc_server.h"

enum { MAX_SUPERS = 100000, MAX_DEPTH = 64, NAME = 256, SUPER_NAME = 32, MAX_VARIABLE = 64,
       LOCK_MORE = 64,                  /* of LOCK_NAME, around the name of an inode */
       NOT_A_FILE = 3,                  /* flags in folio.mapping               */
};

/* A variable of the kernel; some locks are inside a larger one. */
static bool lock_is_variable(struct report *r, uint64_t lock, char *ret)
{
	const uint64_t start = kernel_symbol(&r->kernel, "_stext");
	const uint64_t end = kernel_symbol(&r->kernel, "_end");
	struct symbol s;

	if (!start || lock < start || lock >= end ||
	    !symtab_at(&r->kernel.symbols, lock, end, &s) || lock - s.vaddr >= MAX_VARIABLE)
		return false;
	if (lock == s.vaddr)
		snprintf(ret, LOCK_NAME, "%s", s.name);
	else
		snprintf(ret, LOCK_NAME, "%s+0x%llx", s.name, (unsigned long long)(lock - s.vaddr));
	return true;
}

/* A super block's device, as the kernel names it, and the type of the file system */
static void lock_name_super(struct report *r, uint64_t super, char *ret)
{
	char id[SUPER_NAME] = "", type[SUPER_NAME] = "";
	uint64_t fs, name;
	struct btf_field f;

	if (btf_field(&r->kernel.btf, "super_block", "s_id", &f))
		kernel_string(&r->kernel, super + f.off, id, sizeof(id));
	if (kernel_member(&r->kernel, super, "super_block", "s_type", &fs) &&
	    kernel_member(&r->kernel, fs, "file_system_type", "name", &name))
		kernel_string(&r->kernel, name, type, sizeof(type));
	snprintf(ret, NAME, "%s (%s)", *id ? id : "?", *type ? type : "?");
}

/* s_umount, or one of those by which a file system is frozen */
static bool lock_is_of_super(struct report *r, uint64_t super, uint64_t lock, char *ret)
{
	const struct btf *btf = &r->kernel.btf;
	struct btf_field umount, writers;
	uint64_t frozen = 0;
	char name[NAME];

	if (btf_field(btf, "super_block", "s_umount", &umount) && lock == super + umount.off) {
		lock_name_super(r, super, name);
		snprintf(ret, LOCK_NAME, "s_umount of %s", name);
		return true;
	}
	if (!btf_field(btf, "super_block", "s_writers.rw_sem", &writers) ||
	    lock - (super + writers.off) >= writers.size)
		return false;
	kernel_member(&r->kernel, super, "super_block", "s_writers.frozen", &frozen);
	lock_name_super(r, super, name);
	snprintf(ret, LOCK_NAME, "s_writers of %s%s", name,
		 frozen ? ", which is frozen or being frozen" : "");
	return true;
}

/* Search all file systems; @super is set to the one with that lock, or that of @inode's. */
static bool lock_search_supers(struct report *r, uint64_t lock, uint64_t of_inode, char *ret)
{
	const uint64_t head = kernel_symbol(&r->kernel, "super_blocks");
	struct list_walk walk;
	struct btf_field list;
	uint64_t node;

	if (!head || !btf_field(&r->kernel.btf, "super_block", "s_list", &list))
		return false;
	walk = list_walk_begin(&r->kernel, head, MAX_SUPERS);
	while (list_walk_next(&walk, &node)) {
		const uint64_t super = node - list.off;

		if (of_inode ? super == of_inode : lock_is_of_super(r, super, lock, ret))
			return true;
	}
	return false;
}

static bool lock_is_of_process(struct report *r, uint64_t lock, char *ret)
{
	struct btf_field f, mm;
	uint64_t vaddr;

	if (!btf_field(&r->kernel.btf, "mm_struct", "mmap_lock", &f) ||
	    !btf_field(&r->kernel.btf, "task_struct", "mm", &mm))
		return false;
	for (size_t i = 0; i < r->num_tasks; i++) {
		const struct gdump_task *t = &r->tasks[i];

		if (!kernel_word(&r->kernel, t->vaddr + mm.off, &vaddr) || !vaddr ||
		    vaddr + f.off != lock)
			continue;
		snprintf(ret, LOCK_NAME, "mmap_lock of process %d (%s)", (int)t->tgid, t->name);
		return true;
	}
	return false;
}

static bool lock_read_dentry_name(struct report *r, uint64_t dentry, char *ret)
{
	struct btf_field f;
	uint64_t name;

	return (btf_field(&r->kernel.btf, "dentry", "d_name.name", &f) ||
		btf_field(&r->kernel.btf, "dentry", "__d_name.name", &f)) &&
	       kernel_word(&r->kernel, dentry + f.off, &name) &&
	       kernel_string(&r->kernel, name, ret, NAME);
}

/* The path of a dentry in its file system; "": unknown */
static void lock_read_path(struct report *r, uint64_t dentry, char *ret)
{
	char path[NAME] = "", name[NAME], longer[2 * NAME + 2];

	for (unsigned int i = 0; i < MAX_DEPTH; i++) {
		uint64_t parent;

		if (!kernel_member(&r->kernel, dentry, "dentry", "d_parent", &parent) ||
		    parent == dentry || !lock_read_dentry_name(r, dentry, name))
			break;
		snprintf(longer, sizeof(longer), "/%s%s", name, path);
		if (strlen(longer) >= sizeof(path))
			break;
		memcpy(path, longer, strlen(longer) + 1);
		dentry = parent;
	}
	memcpy(ret, path, sizeof(path));
}

/* An inode whose super block is one of the system's: "inode 12 on vda (ext4), /name" */
static bool lock_describe_inode(struct report *r, uint64_t inode, char *ret)
{
	const struct btf *btf = &r->kernel.btf;
	char super_name[NAME], path[NAME] = "";
	uint64_t super, number, dentry;
	struct btf_field alias, list;

	if (!btf_field(btf, "dentry", "d_u.d_alias", &alias) || !btf_field(btf, "inode", "i_dentry", &list) ||
	    !kernel_member(&r->kernel, inode, "inode", "i_sb", &super) || !super ||
	    !lock_search_supers(r, 0, super, ret) ||
	    !kernel_member(&r->kernel, inode, "inode", "i_ino", &number))
		return false;
	if (kernel_word(&r->kernel, inode + list.off, &dentry) && dentry)
		lock_read_path(r, dentry - alias.off, path);
	lock_name_super(r, super, super_name);
	snprintf(ret, LOCK_NAME - LOCK_MORE, "inode %llu on %s%s%s", (unsigned long long)number,
		 super_name, *path ? ", " : "", path);
	return true;
}

static bool lock_is_of_inode(struct report *r, uint64_t lock, const char *member, char *ret)
{
	char inode[LOCK_NAME];
	struct btf_field f;

	if (!btf_field(&r->kernel.btf, "inode", member, &f) ||
	    !lock_describe_inode(r, lock - f.off, inode))
		return false;
	snprintf(ret, LOCK_NAME, "%s of %.*s", member, LOCK_NAME - LOCK_MORE, inode);
	return true;
}

/* Pages and blocks ------------------------------------------------------------ */

/* The device of an inode of the file system "bdev" */
static bool lock_describe_device(struct report *r, uint64_t inode, char *ret)
{
	const uint64_t variable = kernel_symbol(&r->kernel, "blockdev_superblock");
	struct btf_field its_inode, device;
	uint64_t all, super;

	return variable && kernel_word(&r->kernel, variable, &all) &&
	       kernel_member(&r->kernel, inode, "inode", "i_sb", &super) && super == all &&
	       btf_field(&r->kernel.btf, "bdev_inode", "vfs_inode", &its_inode) &&
	       btf_field(&r->kernel.btf, "bdev_inode", "bdev", &device) &&
	       block_device_name(&r->kernel, inode - its_inode.off + device.off, ret);
}

/* A member of struct folio, or of struct page before Linux 5.16 */
static bool lock_read_folio(struct report *r, uint64_t folio, const char *member, uint64_t *ret)
{
	return kernel_member(&r->kernel, folio, "folio", member, ret) ||
	       kernel_member(&r->kernel, folio, "page", member, ret);
}

/* "page 3 of inode 12 on vda (ext4), /name: it is being written" */
static bool lock_describe_page(struct report *r, const struct wait *wait, char *ret)
{
	char owner[LOCK_NAME];
	uint64_t mapping, index, inode;
	uint32_t writeback;
	const char *why = "";

	if (!lock_read_folio(r, wait->lock, "mapping", &mapping) || !mapping ||
	    !lock_read_folio(r, wait->lock, "index", &index))
		return false;
	if (btf_enumerator(&r->kernel.btf, "pageflags", "PG_writeback", &writeback) &&
	    wait->bit == writeback)
		why = ", which is being written";
	if (mapping & NOT_A_FILE) {
		snprintf(ret, LOCK_NAME, "a page of anonymous memory%s", why);
		return true;
	}
	if (!kernel_member(&r->kernel, mapping, "address_space", "host", &inode) ||
	    (!lock_describe_device(r, inode, owner) && !lock_describe_inode(r, inode, owner)))
		return false;
	snprintf(ret, LOCK_NAME, "page %llu of %.*s%s", (unsigned long long)index,
		 LOCK_NAME - LOCK_MORE, owner, why);
	return true;
}

static bool lock_describe_buffer(struct report *r, uint64_t buffer, char *ret)
{
	char name[BLOCK_DEVICE_NAME];
	uint64_t device, block;

	if (!kernel_member(&r->kernel, buffer, "buffer_head", "b_bdev", &device) || !device ||
	    !kernel_member(&r->kernel, buffer, "buffer_head", "b_blocknr", &block) ||
	    !block_device_name(&r->kernel, device, name))
		return false;
	snprintf(ret, LOCK_NAME, "block %llu of %s", (unsigned long long)block, name);
	return true;
}

/* Any ------------------------------------------------------------------------- */

static bool lock_is_of_module(struct report *r, uint64_t lock, char *ret)
{
	const struct module *m = NULL;
	const char *name;

	if (r->stacks)
		m = modules_variable_at(&stacks_text(r->stacks)->modules, lock, &name);
	if (m)
		snprintf(ret, LOCK_NAME, "%s [%s]", name, m->name);
	return m;
}

static bool lock_is_of_file(struct report *r, const struct wait *wait, char *ret)
{
	switch (wait->kind) {
	case WAIT_PERCPU_READ:
	case WAIT_PERCPU_WRITE:
		return lock_search_supers(r, wait->lock, 0, ret);
	case WAIT_RWSEM_READ:
	case WAIT_RWSEM_WRITE:
		return lock_search_supers(r, wait->lock, 0, ret) ||
		       lock_is_of_process(r, wait->lock, ret) ||
		       lock_is_of_inode(r, wait->lock, "i_rwsem", ret);
	default:
		return false;
	}
}

bool lock_describe(struct report *r, const struct wait *wait, char *ret)
{
	switch (wait->kind) {
	case WAIT_PAGE:
		return lock_describe_page(r, wait, ret);
	case WAIT_BUFFER:
		return lock_describe_buffer(r, wait->lock, ret);
	case WAIT_BIT:
		return lock_is_of_inode(r, wait->lock, "i_state", ret);
	case WAIT_NFS:
		return rpc_server_name(r, wait->lock, ret, LOCK_NAME);
	default:
		return lock_is_variable(r, wait->lock, ret) ||
		       lock_is_of_module(r, wait->lock, ret) || lock_is_of_file(r, wait, ret);
	}
}
