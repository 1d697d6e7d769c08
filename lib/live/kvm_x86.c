/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kvm_x86.c - an x86_64 CPU of KVM: NT_PRSTATUS, NT_FPREGSET and QEMU's note
 *
 * Facts: struct elf_prstatus and struct user_fxsr_struct of Linux, QEMUCPUState of
 * QEMU's target/i386/arch_dump.c (see arch/x86_note.c), KVM's api.rst.
 */
#include "kvm.h"

#include <elf.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cursor.h"

enum {
	PRSTATUS_SIZE = 336, PRSTATUS_PID = 32, PRSTATUS_REGS = 112,
	FXSAVE_SIZE = 512,
	QEMU_SIZE = 440, QEMU_VERSION = 1,
	MSR_KERNEL_GS_BASE = (int)0xc0000102,
};

const char *const kvm_arch = "x86_64";

static struct gdump_error *kvm_x86_add_prstatus(struct image *image, size_t cpu,
						const struct kvm_regs *r,
						const struct kvm_sregs *s)
{
	const uint64_t regs[] = {
		r->r15, r->r14, r->r13, r->r12, r->rbp, r->rbx, r->r11, r->r10, r->r9, r->r8,
		r->rax, r->rcx, r->rdx, r->rsi, r->rdi, r->rax /* orig_rax */, r->rip,
		s->cs.selector, r->rflags, r->rsp, s->ss.selector, s->fs.base, s->gs.base,
		s->ds.selector, s->es.selector, s->fs.selector, s->gs.selector,
	};
	unsigned char desc[PRSTATUS_SIZE] = { 0 };
	struct cursor c = cursor_init(desc, sizeof(desc), false, true);

	cursor_take(&c, PRSTATUS_PID);
	put_u32(&c, (uint32_t)cpu + 1);
	cursor_take(&c, PRSTATUS_REGS - PRSTATUS_PID - 4);
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		put_u64(&c, regs[i]);
	return image_add_note(image, "CORE", NT_PRSTATUS, desc, sizeof(desc));
}

/* What FXSAVE writes */
static struct gdump_error *kvm_x86_add_fpregs(struct image *image, const struct kvm_fpu *f)
{
	unsigned char desc[FXSAVE_SIZE] = { 0 };
	struct cursor c = cursor_init(desc, sizeof(desc), false, true);

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
	return image_add_note(image, "CORE", NT_FPREGSET, desc, sizeof(desc));
}

/* The flags are bits 8 to 23 of the descriptor's second word. */
static void kvm_x86_put_segment(struct cursor *c, const struct kvm_segment *s)
{
	put_u32(c, s->selector);
	put_u32(c, s->limit);
	put_u32(c, (uint32_t)s->type << 8 | (uint32_t)s->s << 12 | (uint32_t)s->dpl << 13 |
		   (uint32_t)(s->present && !s->unusable) << 15 | (uint32_t)s->avl << 20 |
		   (uint32_t)s->l << 21 | (uint32_t)s->db << 22 | (uint32_t)s->g << 23);
	put_u32(c, 0);
	put_u64(c, s->base);
}

static void kvm_x86_put_table(struct cursor *c, const struct kvm_dtable *t)
{
	put_u32(c, 0);
	put_u32(c, t->limit);
	put_u64(c, 0);
	put_u64(c, t->base);
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

static struct gdump_error *kvm_x86_add_qemu(struct image *image, const struct kvm_regs *r,
					    const struct kvm_sregs *s, uint64_t gs_base)
{
	const uint64_t regs[] = {
		r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rsp, r->rbp, r->r8, r->r9,
		r->r10, r->r11, r->r12, r->r13, r->r14, r->r15, r->rip, r->rflags,
	};
	const struct kvm_segment *const segments[] = {
		&s->cs, &s->ds, &s->es, &s->fs, &s->gs, &s->ss, &s->ldt, &s->tr,
	};
	const uint64_t control[] = { s->cr0, 0, s->cr2, s->cr3, s->cr4, gs_base };
	unsigned char desc[QEMU_SIZE] = { 0 };
	struct cursor c = cursor_init(desc, sizeof(desc), false, true);

	put_u32(&c, QEMU_VERSION);
	put_u32(&c, QEMU_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		put_u64(&c, regs[i]);
	for (size_t i = 0; i < ARRAY_SIZE(segments); i++)
		kvm_x86_put_segment(&c, segments[i]);
	kvm_x86_put_table(&c, &s->gdt);
	kvm_x86_put_table(&c, &s->idt);
	for (size_t i = 0; i < ARRAY_SIZE(control); i++)
		put_u64(&c, control[i]);
	return image_add_note(image, "QEMU", 0, desc, sizeof(desc));
}

struct gdump_error *kvm_add_notes(kvm_ioctl_fn *fn, int fd, size_t cpu, struct image *image)
{
	struct gdump_error *err;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct kvm_fpu fpu;

	err = kvm_get(fn, fd, KVM_GET_REGS, &regs, "KVM_GET_REGS");
	if (!err)
		err = kvm_get(fn, fd, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
	if (!err)
		err = kvm_get(fn, fd, KVM_GET_FPU, &fpu, "KVM_GET_FPU");
	if (!err)
		err = kvm_x86_add_prstatus(image, cpu, &regs, &sregs);
	if (!err)
		err = kvm_x86_add_fpregs(image, &fpu);
	if (!err)
		err = kvm_x86_add_qemu(image, &regs, &sregs, kvm_x86_kernel_gs_base(fn, fd));
	return err;
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
	const struct kvm_regs regs = run->s.regs.regs;
	const struct kvm_sregs sregs = run->s.regs.sregs;
	struct gdump_error *err = kvm_x86_add_prstatus(image, cpu, &regs, &sregs);

	return err ? err : kvm_x86_add_qemu(image, &regs, &sregs, 0);
}

static const struct kvm_sync kvm_x86_sync = {
	.size = sizeof(struct kvm_run),
	.request = kvm_x86_sync_request,
	.end = kvm_x86_sync_end,
	.is_stored = kvm_x86_sync_is_stored,
	.add_notes = kvm_x86_sync_add_notes,
};

const struct kvm_sync *const kvm_sync = &kvm_x86_sync;
