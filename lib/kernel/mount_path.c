/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mount_path.c - names of directories, from the last one up
 *
 * Facts: Linux's fs/mount.h and fs/d_path.c.
 */
#include "mount_path.h"

#include <string.h>

enum { MAX_DEPTH = 64, MAX_NAMES = 256, NAME = 256 };

/* False: it becomes too long. */
static bool mount_prepend(struct mount_path *path, const char *name)
{
	const size_t len = strlen(name);

	if (len + 1 > path->at)
		return false;
	path->at -= len + 1;
	path->text[path->at] = '/';
	memcpy(path->text + path->at + 1, name, len);
	return true;
}

static bool mount_read_name(struct kernel *k, uint64_t dentry, char *ret)
{
	struct btf_field f;
	uint64_t name;

	return (btf_field(&k->btf, "dentry", "d_name.name", &f) ||
		btf_field(&k->btf, "dentry", "__d_name.name", &f)) &&
	       kernel_word(k, dentry + f.off, &name) && kernel_string(k, name, ret, NAME);
}

/* Prepend the names from @dentry up to the root of its file system's mount. */
static bool mount_climb(struct kernel *k, uint64_t dentry, uint64_t root, struct mount_path *path)
{
	char name[NAME];
	uint64_t parent;

	for (unsigned int i = 0; i < MAX_NAMES; i++) {
		if (dentry == root)
			return true;
		if (!kernel_member(k, dentry, "dentry", "d_parent", &parent) || parent == dentry ||
		    !mount_read_name(k, dentry, name) || !mount_prepend(path, name))
			return false;
		dentry = parent;
	}
	return false;
}

/* Prepend the path of the mount point of @mount. */
static bool mount_prepend_point(struct kernel *k, uint64_t mount, struct mount_path *path)
{
	uint64_t parent, point, root;

	for (unsigned int i = 0; i < MAX_DEPTH; i++) {
		if (!kernel_member(k, mount, "mount", "mnt_parent", &parent))
			return false;
		if (parent == mount)
			return path->text[path->at] || mount_prepend(path, "");
		if (!kernel_member(k, mount, "mount", "mnt_mountpoint", &point) ||
		    !kernel_member(k, parent, "mount", "mnt.mnt_root", &root) ||
		    !mount_climb(k, point, root, path))
			return false;
		mount = parent;
	}
	return false;
}

static void mount_path_begin(struct mount_path *path)
{
	path->at = sizeof(path->text) - 1;
	path->text[path->at] = 0;
}

bool mount_read_path(struct kernel *k, uint64_t mount, struct mount_path *path)
{
	mount_path_begin(path);
	return mount_prepend_point(k, mount, path);
}

char *mount_path_of_file(struct kernel *k, uint64_t file)
{
	struct btf_field vfsmount;
	struct mount_path path;
	uint64_t dentry, mnt, root, mount;

	mount_path_begin(&path);
	if (!btf_field(&k->btf, "mount", "mnt", &vfsmount) ||
	    !kernel_member(k, file, "file", "f_path.dentry", &dentry) ||
	    !kernel_member(k, file, "file", "f_path.mnt", &mnt))
		return NULL;
	mount = mnt - vfsmount.off;
	if (!kernel_member(k, mount, "mount", "mnt.mnt_root", &root) ||
	    !mount_climb(k, dentry, root, &path))
		return NULL;
	/* that of a memfd, for example, is mounted nowhere */
	return mount_prepend_point(k, mount, &path) ? strdup(path.text + path.at) : NULL;
}
