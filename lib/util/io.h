/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * io.h - complete reads and writes
 *
 * Short reads and writes and EINTR are repeated.  Functions that return no descriptor
 * return 0 or an errno.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int io_pwrite(int fd, const void *buf, size_t len, uint64_t off);
int io_write(int fd, const void *buf, size_t len);
/* @got: bytes read, fewer than @len only at the end of the file. */
int io_pread(int fd, void *buf, size_t len, uint64_t off, size_t *got);

/* Create a file in directory @dir that has no name and vanishes when it is closed.  The
 * descriptor, or -1 and errno.
 */
int io_open_temp(const char *dir);
/* openat() with the mode 0600; a descriptor, or -1 and errno. */
int io_openat(int dir, const char *path, int flags);
