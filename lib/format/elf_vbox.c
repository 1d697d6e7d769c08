/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * elf_vbox.c - the notes of VirtualBox's cores (debugvm dumpvmcore)
 *
 * A core of VirtualBox is an ELF core with notes of its own: VBCORE describes it, and VBCPU has the
 * registers of a CPU.  Device memory is listed, but has no bytes in the file.
 *
 * Facts: DBGFCoreWrite.cpp and dbgfcorefmt.h of VirtualBox.
 */
#include <string.h>

#include "../arch/x86_cpu.h"
#include "../util/bits.h"
#include "../util/cursor.h"
#include "elf.h"

enum {
	NOTE_CORE = 0xb00, NOTE_CPU = 0xb01, CORE_MAGIC = (int)0xc01ac0de,
	MIN_FORMAT = 0x00010004, MAX_FORMAT = 0x00010006, FORMAT_XSAVE = 0x00010006,
	CR0 = 288, GDTR = 384, LDTR = 416, EFER = 488, KERNEL_GS_BASE = 536, XSAVE = 584,
};

static uint32_t vbox_core_word(const struct gdump_note *n, unsigned int i)
{
	struct cursor c = cursor_init(n->desc, n->size, false, true);

	cursor_take(&c, 4 * (size_t)i);
	return get_u32(&c);
}

static const struct gdump_note *vbox_core_note(const struct image *image)
{
	for (size_t i = 0; i < image->num_notes; i++) {
		const struct gdump_note *n = &image->notes[i];

		if (!strcmp(n->name, "VBCORE") && n->type == NOTE_CORE &&
		    vbox_core_word(n, 0) == (uint32_t)CORE_MAGIC)
			return n;
	}
	return NULL;
}

bool elf_is_vbox(const struct image *image)
{
	return vbox_core_note(image);
}

static struct cursor vbox_at(const struct gdump_note *n, size_t off)
{
	struct cursor c = cursor_init(n->desc, n->size, false, true);

	cursor_take(&c, off);
	return c;
}

static void vbox_take_segment(struct cursor *c, struct x86_segment *s)
{
	uint32_t rights;

	s->base = get_u64(c);
	s->limit = get_u32(c);
	rights = get_u32(c);
	s->selector = get_u16(c);
	cursor_take(c, 6);
	s->flags = x86_flags_of_rights(rights & 0xffff);
	if (rights & 1u << 16)          /* unusable */
		s->flags &= ~(1u << 15);
}

static void vbox_take_table(struct cursor *c, struct x86_segment *s)
{
	s->base = get_u64(c);
	s->limit = get_u32(c);
	get_u32(c);
}

static void vbox_take_segments(const struct gdump_note *n, struct x86_cpu *cpu)
{
	static const enum x86_seg order[] = { X86_CS, X86_DS, X86_ES, X86_FS, X86_GS, X86_SS };
	struct cursor c = vbox_at(n, 144);

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		vbox_take_segment(&c, &cpu->segs[order[i]]);
	c = vbox_at(n, GDTR);
	vbox_take_table(&c, &cpu->segs[X86_GDT]);
	vbox_take_table(&c, &cpu->segs[X86_IDT]);
	c = vbox_at(n, LDTR);
	vbox_take_segment(&c, &cpu->segs[X86_LDT]);
	vbox_take_segment(&c, &cpu->segs[X86_TR]);
}

static void vbox_take_cpu(const struct gdump_note *n, uint32_t format, struct x86_cpu *cpu)
{
	static const enum x86_reg order[] = {
		X86_RAX, X86_RBX, X86_RCX, X86_RDX, X86_RSI, X86_RDI, X86_R8, X86_R9, X86_R10,
		X86_R11, X86_R12, X86_R13, X86_R14, X86_R15, X86_RIP, X86_RSP, X86_RBP, X86_RFLAGS,
	};
	struct cursor c = vbox_at(n, 0);

	*cpu = (struct x86_cpu){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		cpu->regs[order[i]] = get_u64(&c);
	vbox_take_segments(n, cpu);
	c = vbox_at(n, CR0);
	cpu->cr0 = get_u64(&c);
	cpu->cr2 = get_u64(&c);
	cpu->cr3 = get_u64(&c);
	cpu->cr4 = get_u64(&c);
	c = vbox_at(n, EFER);
	cpu->efer = get_u64(&c);
	c = vbox_at(n, KERNEL_GS_BASE);
	cpu->kernel_gs_base = get_u64(&c);
	c = vbox_at(n, XSAVE);
	cpu->fxsave = format >= FORMAT_XSAVE ? cursor_take(&c, X86_FXSAVE_SIZE) : NULL;
}

/* The note of CPU number @k, or NULL */
static const struct gdump_note *vbox_cpu_note(const struct image *image, size_t k)
{
	for (size_t i = 0; i < image->num_notes; i++) {
		const struct gdump_note *n = &image->notes[i];

		if (!strcmp(n->name, "VBCPU") && n->type == NOTE_CPU && !k--)
			return n;
	}
	return NULL;
}

struct gdump_error *elf_take_vbox(struct image *image)
{
	const struct gdump_note *core = vbox_core_note(image), *n;
	const uint32_t format = vbox_core_word(core, 1), num = vbox_core_word(core, 5);
	const bool known = format >= MIN_FORMAT && format <= MAX_FORMAT;
	struct gdump_error *err = NULL;
	size_t i = 0;

	for (; !err && (n = vbox_cpu_note(image, i)); i++) {
		struct x86_cpu cpu;

		if (!known || n->size < KERNEL_GS_BASE + 8) {
			image->num_lost_cpus++;
			continue;
		}
		vbox_take_cpu(n, format, &cpu);
		err = x86_cpu_add_notes(&cpu, i, image);
	}
	if (num > i && num <= UINT16_MAX)
		image->num_lost_cpus += num - i;
	/* what was converted is not needed any more */
	for (size_t k = image->num_notes; k-- > 0;) {
		if (!strncmp(image->notes[k].name, "VBC", 3))
			image_remove_note(image, k);
	}
	return err;
}
