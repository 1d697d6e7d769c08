/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * arch/x86_cpu.c - an x86-64 CPU: NT_PRSTATUS, NT_FPREGSET and QEMU's note
 *
 * Facts: struct elf_prstatus and struct user_fxsr_struct of Linux, QEMUCPUState of QEMU's
 * target/i386/arch_dump.c (see x86_note.c), struct kvm_regs and struct kvm_sregs of Linux.
 */
#include "x86_cpu.h"

#include <elf.h>

#include "../util/bits.h"
#include "../util/cursor.h"

enum {
	PRSTATUS_SIZE = 336, PRSTATUS_PID = 32, PRSTATUS_REGS = 112,
	QEMU_SIZE = 440, QEMU_VERSION = 1,
};

/* struct kvm_segment, of which the base, the limit and the selector come first */
static void x86_cpu_take_segment(struct cursor *c, struct x86_segment *s)
{
	/* where the flags are in the descriptor's second word: type, present, dpl, db, s, l, g, avl */
	static const uint8_t shifts[] = { 8, 15, 13, 22, 12, 21, 23, 20 };
	static const uint8_t masks[] = { 15, 1, 3, 1, 1, 1, 1, 1 };
	bool unusable;

	s->base = get_u64(c);
	s->limit = get_u32(c);
	s->selector = get_u16(c);
	s->flags = 0;
	for (size_t i = 0; i < ARRAY_SIZE(shifts); i++)
		s->flags |= (uint32_t)(get_u8(c) & masks[i]) << shifts[i];
	unusable = get_u8(c);
	get_u8(c);
	if (unusable)
		s->flags &= ~(1u << 15);
}

static void x86_cpu_take_table(struct cursor *c, struct x86_segment *s)
{
	*s = (struct x86_segment){ .base = get_u64(c) };
	s->limit = get_u16(c);
	cursor_take(c, 6);
}

void x86_cpu_take_kvm(struct x86_cpu *cpu, const unsigned char *regs, const unsigned char *sregs)
{
	static const enum x86_seg order[] = {
		X86_CS, X86_DS, X86_ES, X86_FS, X86_GS, X86_SS, X86_TR, X86_LDT,
	};
	struct cursor c = cursor_init(regs, X86_KVM_REGS, false, true);

	for (size_t i = 0; i < X86_NUM_REGS; i++)
		cpu->regs[i] = get_u64(&c);
	c = cursor_init(sregs, X86_KVM_SREGS, false, true);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		x86_cpu_take_segment(&c, &cpu->segs[order[i]]);
	x86_cpu_take_table(&c, &cpu->segs[X86_GDT]);
	x86_cpu_take_table(&c, &cpu->segs[X86_IDT]);
	cpu->cr0 = get_u64(&c);
	cpu->cr2 = get_u64(&c);
	cpu->cr3 = get_u64(&c);
	cpu->cr4 = get_u64(&c);
	get_u64(&c);                    /* cr8 */
	cpu->efer = get_u64(&c);
}

bool x86_cpu_is_sane(const struct x86_cpu *cpu)
{
	const uint64_t cr0 = (uint64_t)1 << 31 | 1, efer = 0x500;
	const struct x86_segment *cs = &cpu->segs[X86_CS];

	return (cpu->cr0 & cr0) == cr0 && !(cpu->cr0 >> 32) &&
	       (cpu->efer & efer) == efer && !(cpu->efer >> 32) &&
	       !(cpu->cr4 >> 33) && cpu->cr4 & 0x20 &&          /* PAE */
	       !(cpu->cr3 >> 52 & 0x7ff) && (cpu->cr3 & 0x000ffffffffff000) &&
	       (cs->flags & 0x9800) == 0x9800 &&                /* present, code */
	       (cpu->regs[X86_RFLAGS] & ~(uint64_t)0x3f7fd5) == 2;
}

static struct gdump_error *x86_cpu_add_prstatus(const struct x86_cpu *cpu, size_t n, struct image *image)
{
	/* r15 to rdi, then rax once more as orig_rax */
	static const enum x86_reg order[] = {
		X86_R15, X86_R14, X86_R13, X86_R12, X86_RBP, X86_RBX, X86_R11, X86_R10,
		X86_R9, X86_R8, X86_RAX, X86_RCX, X86_RDX, X86_RSI, X86_RDI, X86_RAX,
	};
	const struct x86_segment *s = cpu->segs;
	const uint64_t rest[] = {
		cpu->regs[X86_RIP], s[X86_CS].selector, cpu->regs[X86_RFLAGS], cpu->regs[X86_RSP],
		s[X86_SS].selector, s[X86_FS].base, s[X86_GS].base, s[X86_DS].selector,
		s[X86_ES].selector, s[X86_FS].selector, s[X86_GS].selector,
	};
	unsigned char desc[PRSTATUS_SIZE] = { 0 };
	struct cursor c = cursor_init(desc, sizeof(desc), false, true);

	cursor_take(&c, PRSTATUS_PID);
	put_u32(&c, (uint32_t)n + 1);
	cursor_take(&c, PRSTATUS_REGS - PRSTATUS_PID - 4);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		put_u64(&c, cpu->regs[order[i]]);
	for (size_t i = 0; i < ARRAY_SIZE(rest); i++)
		put_u64(&c, rest[i]);
	return image_add_note(image, "CORE", NT_PRSTATUS, desc, sizeof(desc));
}

static struct gdump_error *x86_cpu_add_qemu(const struct x86_cpu *cpu, struct image *image)
{
	const uint64_t control[] = {
		cpu->cr0, 0, cpu->cr2, cpu->cr3, cpu->cr4, cpu->kernel_gs_base,
	};
	unsigned char desc[QEMU_SIZE] = { 0 };
	struct cursor c = cursor_init(desc, sizeof(desc), false, true);

	put_u32(&c, QEMU_VERSION);
	put_u32(&c, QEMU_SIZE);
	for (size_t i = 0; i < X86_NUM_REGS; i++)
		put_u64(&c, cpu->regs[i]);
	for (size_t i = 0; i < X86_NUM_SEGS; i++) {
		const struct x86_segment *s = &cpu->segs[i];

		put_u32(&c, s->selector);
		put_u32(&c, s->limit);
		put_u32(&c, s->flags);
		put_u32(&c, 0);
		put_u64(&c, s->base);
	}
	for (size_t i = 0; i < ARRAY_SIZE(control); i++)
		put_u64(&c, control[i]);
	return image_add_note(image, "QEMU", 0, desc, sizeof(desc));
}

struct gdump_error *x86_cpu_add_notes(const struct x86_cpu *cpu, size_t n, struct image *image)
{
	struct gdump_error *err = x86_cpu_add_prstatus(cpu, n, image);

	if (!err && cpu->fxsave)
		err = image_add_note(image, "CORE", NT_FPREGSET, cpu->fxsave, X86_FXSAVE_SIZE);
	return err ? err : x86_cpu_add_qemu(cpu, image);
}
