/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mount_path.h - the paths of mounts and files, in the guest's mount namespace
 */
#pragma once

#include "kernel.h"

/* A path, which is put together from its end */
struct mount_path {
	char text[4096];
	size_t at;                      /* where it begins in text[]            */
};

/* The mount point of the struct mount at @mount; false: it cannot be read. */
bool mount_read_path(struct kernel *k, uint64_t mount, struct mount_path *path);
/* The path of the struct file at @file, to be freed; NULL: it has none that can be read. */
char *mount_path_of_file(struct kernel *k, uint64_t file);
