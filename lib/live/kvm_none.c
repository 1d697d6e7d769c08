/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "kvm.h"

const char *const kvm_arch = NULL;
const struct kvm_sync *const kvm_sync = NULL;

struct gdump_error *kvm_add_notes(kvm_ioctl_fn *fn, int fd, size_t cpu, struct image *image)
{
	(void)fn, (void)fd, (void)cpu, (void)image;
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "this build knows no registers of this host's CPUs");
}
