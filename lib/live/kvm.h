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
/* Registers that KVM stores in a CPU's struct kvm_run, which can be mapped from outside of the VMM,
 * each time the CPU comes out of KVM_RUN.
 */
struct kvm_sync {
	size_t size;                    /* bytes of struct kvm_run that matter  */
	/* Ask for it, of a CPU that runs; returns what end() needs. */
	uint64_t (*request)(void *run);
	/* The request is over. */
	void (*end)(void *run, uint64_t before);
	/* The CPU does not run any more: whether KVM has stored them since request(). */
	bool (*is_stored)(const void *run);
	/* Add the notes of CPU @cpu that can be made of them. */
	struct gdump_error *(*add_notes)(const void *run, size_t cpu, struct image *image);
};
/* NULL: the host is a machine on which KVM does not */
extern const struct kvm_sync *const kvm_sync;

/* Run an ioctl, again after a signal; @what, of CPU @cpu, is for messages. */
MUST_CHECK struct gdump_error *kvm_get(kvm_ioctl_fn *ioctl, int fd, unsigned long request,
				       void *arg, const char *what);
