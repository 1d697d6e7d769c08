/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kvm_x86.c - an x86_64 CPU of KVM
 *
 * Facts: struct user_fxsr_struct of Linux, KVM's api.rst.
 */
#include "kvm.h"

#include <linux/kvm.h>
#include <stddef.h>
#include <string.h>

#include "../arch/x86_cpu.h"
#include "../util/cursor.h"

enum { MSR_KERNEL_GS_BASE = (int)0xc0000102 };

const char *const kvm_arch = "x86_64";

/* What FXSAVE writes */
static void kvm_x86_fxsave(const struct kvm_fpu *f, unsigned char desc[X86_FXSAVE_SIZE])
{
	struct cursor c = cursor_init(desc, X86_FXSAVE_SIZE, false, true);

	memset(desc, 0, X86_FXSAVE_SIZE);
	put_u16(&c, f->fcw);
	put_u16(&c, f->fsw);
	put_u16(&c, f->ftwx);
	put_u16(&c, f->last_opcode);
	put_u64(&c, f->last_ip);
	put_u64(&c, f->last_dp);
	put_u32(&c, f->mxcsr);
	put_u32(&c, 0);                 /* mask of mxcsr */
	put_bytes(&c, f->fpr, sizeof(f->fpr));
	put_bytes(&c, f->xmm, sizeof(f->xmm));
}

/* Without this register a dump is of use too: 0 when it cannot be had. */
static uint64_t kvm_x86_kernel_gs_base(kvm_ioctl_fn *fn, int fd)
{
	union {
		struct kvm_msrs msrs;
		unsigned char room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} u = { .msrs.nmsrs = 1 };

	u.msrs.entries[0].index = (uint32_t)MSR_KERNEL_GS_BASE;
	return fn(fd, KVM_GET_MSRS, &u) == 1 ? u.msrs.entries[0].data : 0;
}

static struct x86_cpu kvm_x86_cpu(const struct kvm_regs *regs, const struct kvm_sregs *sregs)
{
	struct x86_cpu cpu = { 0 };

	x86_cpu_take_kvm(&cpu, (const unsigned char *)regs, (const unsigned char *)sregs);
	return cpu;
}

struct gdump_error *kvm_add_notes(kvm_ioctl_fn *fn, int fd, size_t cpu, struct image *image)
{
	unsigned char fxsave[X86_FXSAVE_SIZE];
	struct gdump_error *err;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct kvm_fpu fpu;
	struct x86_cpu x86;

	err = kvm_get(fn, fd, KVM_GET_REGS, &regs, "KVM_GET_REGS");
	if (!err)
		err = kvm_get(fn, fd, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
	if (!err)
		err = kvm_get(fn, fd, KVM_GET_FPU, &fpu, "KVM_GET_FPU");
	if (err)
		return err;
	x86 = kvm_x86_cpu(&regs, &sregs);
	kvm_x86_fxsave(&fpu, fxsave);
	x86.fxsave = fxsave;
	x86.kernel_gs_base = kvm_x86_kernel_gs_base(fn, fd);
	return x86_cpu_add_notes(&x86, cpu, image);
}

enum { SYNC_WANTED = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS };

static uint64_t kvm_x86_sync_request(void *arg)
{
	struct kvm_run *run = arg;
	const uint64_t before = run->kvm_valid_regs;

	memset(&run->s.regs, 0, offsetof(struct kvm_sync_regs, events));
	__atomic_store_n(&run->kvm_valid_regs, before | SYNC_WANTED, __ATOMIC_SEQ_CST);
	return before;
}

static void kvm_x86_sync_end(void *arg, uint64_t before)
{
	struct kvm_run *run = arg;

	__atomic_store_n(&run->kvm_valid_regs, before, __ATOMIC_SEQ_CST);
}

/* Bit 1 of RFLAGS is always set. */
static bool kvm_x86_sync_is_stored(const void *arg)
{
	const struct kvm_run *run = arg;

	return run->s.regs.regs.rflags & 2;
}

/* The registers of the FPU, and the kernel's GS base, are not among them. */
static struct gdump_error *kvm_x86_sync_add_notes(const void *arg, size_t cpu,
						  struct image *image)
{
	const struct kvm_run *run = arg;
	const struct x86_cpu x86 = kvm_x86_cpu(&run->s.regs.regs, &run->s.regs.sregs);

	return x86_cpu_add_notes(&x86, cpu, image);
}

static const struct kvm_sync kvm_x86_sync = {
	.size = sizeof(struct kvm_run),
	.request = kvm_x86_sync_request,
	.end = kvm_x86_sync_end,
	.is_stored = kvm_x86_sync_is_stored,
	.add_notes = kvm_x86_sync_add_notes,
};

const struct kvm_sync *const kvm_sync = &kvm_x86_sync;
