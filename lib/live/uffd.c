/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * uffd.c - another process's write protection by userfaultfd(2), and removing it
 *
 * Such a descriptor acts on the memory of the process that created it, whichever process
 * uses it.  So does a copy, which pidfd_getfd(2) makes for those who may trace the process.
 */
#include "uffd.h"

#include <dirent.h>
#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../util/cleanup.h"

static bool uffd_is(int dir, const char *name)
{
	static const char wanted[] = "anon_inode:[userfaultfd]";
	char target[sizeof(wanted)];
	const ssize_t len = readlinkat(dir, name, target, sizeof(target));

	return len == sizeof(wanted) - 1 && !memcmp(target, wanted, sizeof(wanted) - 1);
}

void uffd_open(struct uffd *u, pid_t pid)
{
	CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct dirent *entry;
	char path[40];
	DIR *dir;
	int fd;

	*u = (struct uffd){ .num = 0 };
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = pidfd < 0 ? NULL : opendir(path);
	while (dir && u->num < UFFD_MAX && (entry = readdir(dir))) {
		if (!uffd_is(dirfd(dir), entry->d_name))
			continue;
		fd = (int)syscall(SYS_pidfd_getfd, pidfd, atoi(entry->d_name), 0);
		if (fd >= 0)
			u->fds[u->num++] = fd;
	}
	if (dir)
		closedir(dir);
}

void uffd_close(struct uffd *u)
{
	while (u->num)
		close(u->fds[--u->num]);
}

bool uffd_unprotect(const struct uffd *u, uint64_t addr, uint64_t len)
{
	for (size_t i = 0; i < u->num; i++) {
		struct uffdio_writeprotect wp = { .range = { .start = addr, .len = len } };

		if (!TEMP_FAILURE_RETRY(ioctl(u->fds[i], UFFDIO_WRITEPROTECT, &wp)))
			return true;
	}
	return false;
}

void uffd_unregister(int fd, uint64_t addr, uint64_t len)
{
	struct uffdio_range range = { addr, len };

	ioctl(fd, UFFDIO_UNREGISTER, &range);
	/* the kernel wakes only those who wait for a page that is missing */
	ioctl(fd, UFFDIO_WAKE, &range);
}
