/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kvm.h - the registers of KVM's CPUs, as notes
 *
 * One file for each machine whose kernel gives them out (KVM's structs are those of
 * the host), and kvm_none.c for the others.
 */
#pragma once

#include "../machine/image.h"

/* As ioctl(2).  Tests have one of their own. */
typedef int kvm_ioctl_fn(int fd, unsigned long request, void *arg);
kvm_ioctl_fn kvm_ioctl;

/* What uname -m says of machines whose CPUs kvm_add_notes() knows; NULL: of none */
extern const char *const kvm_arch;

/* Add the notes of CPU @cpu, which has the descriptor @fd and does not run. */
MUST_CHECK struct gdump_error *kvm_add_notes(kvm_ioctl_fn *ioctl, int fd, size_t cpu,
					     struct image *image);
/* Run an ioctl, again after a signal; @what, of CPU @cpu, is for messages. */
MUST_CHECK struct gdump_error *kvm_get(kvm_ioctl_fn *ioctl, int fd, unsigned long request,
				       void *arg, const char *what);
