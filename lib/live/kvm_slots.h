/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kvm_slots.h - the memory slots that a process has given to KVM, from the host's kernel
 */
#pragma once

#include <sys/types.h>

#include "memory_map.h"

struct kvm_slots;

/* Find the virtual machine of process @pid.  GDUMP_ERR_NODATA: it has none; GDUMP_ERR_UNSUPPORTED: it
 * has several, or the kernel is not understood.
 */
MUST_CHECK struct gdump_error *kvm_slots_open(pid_t pid, struct kvm_slots **ret);
void kvm_slots_close(struct kvm_slots *k);

/* Read the slots as they are now into @map, which is empty.  They are those of one moment only if
 * the process is stopped.  *@has_private: some memory is only the guest's own (guest_memfd).
 */
MUST_CHECK struct gdump_error *kvm_slots_read(const struct kvm_slots *k, struct memory_map *map,
					      bool *has_private);

static inline void kvm_slots_cleanup(struct kvm_slots **k)
{
	kvm_slots_close(*k);
}
#define CLEANUP_KVM_SLOTS __attribute__((__cleanup__(kvm_slots_cleanup)))
