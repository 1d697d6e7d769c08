/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mount_fuse.h - the files of a mount_tree as a file system, by libfuse3
 *
 * One process mounts it, and unmounts it; another one, its child, answers the kernel.
 */
#pragma once

#include "mount_tree.h"

/* Where nothing can be read, this is called with the reason, from any thread. */
typedef void mount_log_fn(const char *message);

struct mount_fuse;

/* Mount a file system at the directory @at; @source is what the table of mounts shows.  NULL: it
 * failed, after a message of libfuse.
 */
struct mount_fuse *mount_fuse_open(const char *at, const char *source, bool allow_other);
/* Unmount it, if that was not done. */
void mount_fuse_close(struct mount_fuse *m);
/* Answer until it is unmounted, mount_fuse_exit() is called, or a signal says so. */
void mount_fuse_serve(struct mount_fuse *m, struct mount_tree *tree, mount_log_fn *log);
/* From another thread */
void mount_fuse_exit(struct mount_fuse *m);
