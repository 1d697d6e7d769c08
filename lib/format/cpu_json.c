/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "cpu_json.h"

#include "../util/bits.h"

static const char *const reg_names[X86_NUM_REGS] = {
	"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12", "r13",
	"r14", "r15", "rip", "rflags",
};

static const struct { const char *name; enum x86_seg seg; } json_segments[] = {
	{ "cs", X86_CS }, { "ds", X86_DS }, { "es", X86_ES }, { "fs", X86_FS }, { "gs", X86_GS },
	{ "ss", X86_SS }, { "tr", X86_TR }, { "ldt", X86_LDT }, { "gdt", X86_GDT }, { "idt", X86_IDT },
};

/* The number in the first of two members that is there; 0: none is. */
static uint64_t cpu_json_number(struct json_text object, const char *name, const char *other)
{
	uint64_t value = 0;

	if (!json_text_u64(json_text_member(object, name), &value) && other)
		json_text_u64(json_text_member(object, other), &value);
	return value;
}

static struct x86_segment cpu_json_segment(struct json_text v)
{
	static const struct { const char *name, *other; uint8_t shift, mask; } flags[] = {
		{ "type", "type_", 8, 15 }, { "s", NULL, 12, 1 }, { "dpl", NULL, 13, 3 },
		{ "present", NULL, 15, 1 }, { "avl", NULL, 20, 1 }, { "l", NULL, 21, 1 },
		{ "db", NULL, 22, 1 }, { "g", NULL, 23, 1 },
	};
	struct x86_segment s = {
		.base = cpu_json_number(v, "base", NULL),
		.limit = (uint32_t)cpu_json_number(v, "limit", "limit_bytes"),
		.selector = (uint16_t)cpu_json_number(v, "selector", NULL),
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		s.flags |= (uint32_t)(cpu_json_number(v, flags[i].name, flags[i].other) &
				      flags[i].mask) << flags[i].shift;
	if (cpu_json_number(v, "unusable", NULL))
		s.flags &= ~(1u << 15);
	return s;
}

static bool cpu_json_take_members(struct x86_cpu *cpu, struct json_text regs,
				  struct json_text sregs)
{
	for (size_t i = 0; i < X86_NUM_REGS; i++) {
		if (!json_text_u64(json_text_member(regs, reg_names[i]), &cpu->regs[i]))
			return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(json_segments); i++)
		cpu->segs[json_segments[i].seg] =
			cpu_json_segment(json_text_member(sregs, json_segments[i].name));
	cpu->cr2 = cpu_json_number(sregs, "cr2", NULL);
	cpu->efer = cpu_json_number(sregs, "efer", NULL);
	return json_text_u64(json_text_member(sregs, "cr0"), &cpu->cr0) &&
	       json_text_u64(json_text_member(sregs, "cr3"), &cpu->cr3) &&
	       json_text_u64(json_text_member(sregs, "cr4"), &cpu->cr4);
}

bool x86_cpu_take_json(struct x86_cpu *cpu, struct json_text regs, struct json_text sregs)
{
	unsigned char regs_bytes[X86_KVM_REGS], sregs_bytes[X86_KVM_SREGS];

	*cpu = (struct x86_cpu){ 0 };
	if (!json_text_bytes(regs, regs_bytes, sizeof(regs_bytes)) ||
	    !json_text_bytes(sregs, sregs_bytes, sizeof(sregs_bytes)))
		return cpu_json_take_members(cpu, regs, sregs);
	x86_cpu_take_kvm(cpu, regs_bytes, sregs_bytes);
	return true;
}

uint64_t x86_msr_of_json(struct json_text msrs, uint32_t index)
{
	struct json_text e = { 0 };

	while (json_text_next(msrs, &e)) {
		if (cpu_json_number(e, "index", NULL) == index)
			return cpu_json_number(e, "data", "value");
	}
	return 0;
}
