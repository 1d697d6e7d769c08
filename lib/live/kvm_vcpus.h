/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kvm_vcpus.h - the CPUs that another process has of KVM, and their registers
 */
#pragma once

#include <sys/types.h>

#include "../machine/image.h"

struct kvm_vcpus {
	struct kvm_vcpu {
		unsigned int id;        /* KVM's number of the CPU              */
		int fd;                 /* in that process                      */
		void *run;              /* its struct kvm_run, mapped; NULL: not */
		uint64_t before;        /* see struct kvm_sync                  */
	} *list;                        /* by ascending @id                     */
	size_t num;
	size_t num_vms;                 /* virtual machines of the process      */
};

/* Find those of process @pid, and map what its registers are read from, as far as this host's
 * machine and our rights allow; *@why: an error that says why the registers cannot be read, or NULL.
 * @ret is to be deinitialized.
 */
MUST_CHECK struct gdump_error *kvm_vcpus_open(pid_t pid, struct kvm_vcpus *ret,
					      struct gdump_error **why);
void kvm_vcpus_deinit(struct kvm_vcpus *v);

/* Before the process is stopped: have KVM store the registers.  Due then: kvm_vcpus_end_sync(). */
void kvm_vcpus_begin_sync(struct kvm_vcpus *v);
void kvm_vcpus_end_sync(struct kvm_vcpus *v);
/* How many CPUs have come out of KVM_RUN since; the process is stopped. */
size_t kvm_vcpus_stored(const struct kvm_vcpus *v);
/* Add the notes of all CPUs to @image; those of a CPU that was not in KVM_RUN are zero, and counted
 * as lost.
 */
MUST_CHECK struct gdump_error *kvm_vcpus_add_notes(const struct kvm_vcpus *v, struct image *image);
