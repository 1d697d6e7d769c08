/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * x86_cpu.h - the registers of an x86-64 CPU, and the notes that hold them
 */
#pragma once

#include "../machine/image.h"

/* In the order of KVM's struct kvm_regs and of QEMU's note */
enum x86_reg {
	X86_RAX, X86_RBX, X86_RCX, X86_RDX, X86_RSI, X86_RDI, X86_RSP, X86_RBP,
	X86_R8, X86_R9, X86_R10, X86_R11, X86_R12, X86_R13, X86_R14, X86_R15,
	X86_RIP, X86_RFLAGS, X86_NUM_REGS,
};

/* In the order of QEMU's note; the last two have only a base and a limit. */
enum x86_seg {
	X86_CS, X86_DS, X86_ES, X86_FS, X86_GS, X86_SS, X86_LDT, X86_TR, X86_GDT, X86_IDT,
	X86_NUM_SEGS,
};

struct x86_segment {
	uint64_t base;
	uint32_t limit;
	uint32_t flags;                 /* bits 8 to 23 of the descriptor's second word */
	uint16_t selector;
};

enum { X86_FXSAVE_SIZE = 512, X86_KVM_REGS = 144, X86_KVM_SREGS = 312 };

struct x86_cpu {
	uint64_t regs[X86_NUM_REGS];
	struct x86_segment segs[X86_NUM_SEGS];
	uint64_t cr0, cr2, cr3, cr4, efer;
	uint64_t kernel_gs_base;        /* 0 if it is unknown                   */
	const unsigned char *fxsave;    /* what FXSAVE writes; NULL: unknown    */
};

/* The flags of a segment from the access rights of VMX and AMD-V: the descriptor's bits 8 to 15
 * and 20 to 23 as bits 0 to 7 and 12 to 15
 */
static inline uint32_t x86_flags_of_rights(uint32_t rights)
{
	return (rights & 0xff) << 8 | (rights & 0xf000) << 8;
}

/* Take the bytes of KVM's struct kvm_regs and struct kvm_sregs. */
void x86_cpu_take_kvm(struct x86_cpu *cpu, const unsigned char *regs, const unsigned char *sregs);
/* Whether no bit is set that a CPU in long mode with paging cannot have */
bool x86_cpu_is_sane(const struct x86_cpu *cpu);
/* Add NT_PRSTATUS, NT_FPREGSET if there is an ->fxsave, and QEMU's note, of CPU number @n. */
MUST_CHECK struct gdump_error *x86_cpu_add_notes(const struct x86_cpu *cpu, size_t n,
						 struct image *image);
