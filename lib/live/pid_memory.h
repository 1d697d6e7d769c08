/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pid_memory.h - where the memory of a guest is in the process that runs it
 */
#pragma once

#include "memory_map.h"
#include "vmm.h"

/* How its place was found out */
enum pid_memory_origin {
	PID_MEMORY_KVM,                 /* the host's kernel says so            */
	PID_MEMORY_LAYOUT,              /* the guest's kernel does (layout.h)   */
	PID_MEMORY_RANGES,              /* the caller does                      */
};

/* All zero, but for the first two: nothing was found yet */
struct pid_memory {
	pid_t pid;
	uint16_t machine;               /* ELF e_machine of the guest           */
	enum pid_memory_origin origin;
	struct kvm_slots *slots;        /* PID_MEMORY_KVM only                  */
	struct memory_map map;
	struct procmem *mem;
};

/* Find the memory; @has_kvm: the process has a virtual machine of KVM. */
MUST_CHECK struct gdump_error *pid_memory_find(struct pid_memory *m, bool has_kvm,
					       const struct gdump_open_options *opt);
/* GDUMP_ERR_REMOTE: the guest has other memory by now than was found. */
MUST_CHECK struct gdump_error *pid_memory_check(const struct pid_memory *m);
/* What is to be said of the origin; "" for KVM's */
const char *pid_memory_remark(const struct pid_memory *m);
void pid_memory_deinit(struct pid_memory *m);
