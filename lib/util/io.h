/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * io.h - whole reads and writes: short ones and EINTR are taken care of
 *
 * What returns no descriptor returns 0 or an errno.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int io_pwrite(int fd, const void *buf, size_t len, uint64_t off);
int io_write(int fd, const void *buf, size_t len);
/* Fewer bytes than @len: @got says how many, at the end of the file. */
int io_pread(int fd, void *buf, size_t len, uint64_t off, size_t *got);

/* A new file in the folder @dir that has no name and goes away when it is closed; -1 and
 * errno.
 */
int io_open_temp(const char *dir);
/* openat() with the mode 0600; a descriptor, or -1 and errno. */
int io_openat(int dir, const char *path, int flags);
