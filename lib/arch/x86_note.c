/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * arch/x86_note.c - QEMU's own CPU note, of 32-bit and 64-bit guests
 *
 * Owner "QEMU", type 0: QEMUCPUState of QEMU's target/i386/arch_dump.c.  Registers that are
 * in NT_PRSTATUS as well are omitted.  The note has kgs_base since 2018.
 */
#include <stddef.h>

#include "arch.h"

/* A segment register: selector, limit, flags, a gap, base. */
#define SEGMENT(name, k) \
	{ name "_sel", 152 + 24 * (k), 4 }, { name "_base", 152 + 24 * (k) + 16, 8 }, \
	{ name "_lim", 152 + 24 * (k) + 4, 4 }, { name "_attr", 152 + 24 * (k) + 8, 4 }
static const struct reg control[] = {
	{ "cr0", 392, 8 }, { "cr2", 408, 8 }, { "cr3", 416, 8 }, { "cr4", 424, 8 },
	SEGMENT("cs", 0), SEGMENT("ds", 1), SEGMENT("es", 2), SEGMENT("fs", 3), SEGMENT("gs", 4),
	SEGMENT("ss", 5), SEGMENT("ldt", 6), SEGMENT("tr", 7),
	{ "gdt_base", 360, 8 }, { "gdt_lim", 348, 4 },
	{ "idt_base", 384, 8 }, { "idt_lim", 372, 4 },
	{ "kgs_base", 432, 8 }, { 0 },
};
#undef SEGMENT

const struct reg_set x86_sets[] = {
	{ "control", "QEMU", 0, control },
	{ 0 },
};
