/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "block_device.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "../util/bits.h"

enum { MAX_INODES = 100000 };

/* Since Linux 6.10, with flags */
bool block_device_partition(struct kernel *k, uint64_t device, uint64_t *ret)
{
	if (kernel_member(k, device, "block_device", "bd_partno", ret))
		return true;
	if (!kernel_member(k, device, "block_device", "__bd_flags", ret))
		return false;
	*ret &= 0xff;
	return true;
}

bool block_device_disk_name(struct kernel *k, uint64_t disk, char *ret)
{
	struct btf_field f;

	return btf_field(&k->btf, "gendisk", "disk_name", &f) &&
	       kernel_string(k, disk + f.off, ret, MIN((size_t)f.size + 1, DISK_NAME)) && *ret;
}

/* vda1, but nvme0n1p1 */
bool block_device_name(struct kernel *k, uint64_t device, char *ret)
{
	char disk_name[DISK_NAME];
	uint64_t disk, partition;
	const char *p;

	if (!kernel_member(k, device, "block_device", "bd_disk", &disk) || !disk ||
	    !block_device_partition(k, device, &partition) ||
	    !block_device_disk_name(k, disk, disk_name))
		return false;
	p = isdigit((unsigned char)disk_name[strlen(disk_name) - 1]) ? "p" : "";
	if (partition)
		snprintf(ret, BLOCK_DEVICE_NAME, "%s%s%u", disk_name, p, (unsigned int)partition);
	else
		snprintf(ret, BLOCK_DEVICE_NAME, "%s", disk_name);
	return true;
}

bool block_devices_begin(struct kernel *k, struct block_devices *ret)
{
	const uint64_t variable = kernel_symbol(k, "blockdev_superblock");
	struct btf_field inodes, list, inode, device;
	uint64_t super;

	if (!variable || !kernel_word(k, variable, &super) ||
	    !btf_field(&k->btf, "super_block", "s_inodes", &inodes) ||
	    !btf_field(&k->btf, "inode", "i_sb_list", &list) ||
	    !btf_field(&k->btf, "bdev_inode", "vfs_inode", &inode) ||
	    !btf_field(&k->btf, "bdev_inode", "bdev", &device))
		return false;
	ret->walk = list_walk_begin(k, super + inodes.off, MAX_INODES);
	ret->off = (int64_t)device.off - inode.off - list.off;
	return true;
}

bool block_devices_next(struct block_devices *b, uint64_t *device)
{
	uint64_t node;

	if (!list_walk_next(&b->walk, &node))
		return false;
	*device = node + (uint64_t)b->off;
	return true;
}

bool block_device_exists(struct kernel *k, uint64_t device)
{
	struct block_devices devices;
	uint64_t at;

	if (!block_devices_begin(k, &devices))
		return false;
	while (block_devices_next(&devices, &at)) {
		if (at == device)
			return true;
	}
	return false;
}
