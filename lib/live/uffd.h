/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * uffd.h - another process's write protection by userfaultfd(2), and removing it
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { UFFD_MAX = 4 };

/* The descriptors of that kind that a process has, as copies of ours */
struct uffd {
	int fds[UFFD_MAX];
	size_t num;
};

/* Copy those of process @pid; none is found where the kernel does not let us. */
void uffd_open(struct uffd *u, pid_t pid);
void uffd_close(struct uffd *u);
/* Remove the protection of [addr, addr + len), whole pages in the process; a thread that
 * waits to write to them continues.  False: it is as it was.
 */
bool uffd_unprotect(const struct uffd *u, uint64_t addr, uint64_t len);
/* Remove the protection of what lies in [addr, addr + len), for good; all who wait continue. */
void uffd_unregister(int fd, uint64_t addr, uint64_t len);
