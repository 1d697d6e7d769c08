/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * block_device.h - a block device of the kernel
 */
#pragma once

#include "../kernel/list_walk.h"

enum { DISK_NAME = 33, BLOCK_DEVICE_NAME = 48 };

/* The number of a partition, by the address of its struct block_device; 0: the whole disk. */
bool block_device_partition(struct kernel *k, uint64_t device, uint64_t *ret);
/* The name of a disk, by the address of its struct gendisk; @ret has DISK_NAME bytes. */
bool block_device_disk_name(struct kernel *k, uint64_t disk, char *ret);
/* The name of a disk or a partition; @ret has BLOCK_DEVICE_NAME bytes. */
bool block_device_name(struct kernel *k, uint64_t device, char *ret);

/* All block devices: each has an inode in the file system "bdev". */
struct block_devices {
	struct list_walk walk;          /* broken: not all of them were found   */
	int64_t off;                    /* from a node to the block_device      */
};

/* False: the kernel has none that can be found. */
bool block_devices_begin(struct kernel *k, struct block_devices *ret);
/* The address of the next one; false: that was the last. */
bool block_devices_next(struct block_devices *b, uint64_t *device);
/* Whether there is a block device at an address */
bool block_device_exists(struct kernel *k, uint64_t device);
