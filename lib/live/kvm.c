/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "kvm.h"

#include <errno.h>
#include <sys/ioctl.h>

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

struct gdump_error *kvm_get(kvm_ioctl_fn *fn, int fd, unsigned long request, void *arg,
			    const char *what)
{
	int rc;

	do {
		rc = fn(fd, request, arg);
	} while (rc < 0 && errno == EINTR);
	return rc < 0 ? error_os(errno, "%s", what) : NULL;
}
