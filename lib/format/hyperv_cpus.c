/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * hyperv_cpus.c - the CPUs in the state of a partition of Hyper-V
 *
 * The state is a row of chunks.  Those of a CPU follow the one with its index; a guest with a secure
 * kernel has them for each trust level, of which the lowest one is the system that the user knows.
 *
 * Facts: hvdef/save_restore.rs and vmm_core/hyperv_dump of OpenVMM; the Hypervisor Top Level
 * Functional Specification for the form of segments and tables.
 */
#include <elf.h>
#include <stdlib.h>

#include "../arch/x86_cpu.h"
#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cursor.h"
#include "hyperv.h"

enum { CHUNKS_AFTER = 16, MAX_CPUS = 4096, VENDOR_ARM = 0x10 };

enum hyperv_chunk {
	CHUNK_PROLOG = 0, CHUNK_CPU = 0x30001000, CHUNK_TRUST_LEVEL = 0x3001a000,
	CHUNK_GENERAL = 0x30005000, CHUNK_CONTROL = 0x30007000, CHUNK_SEGMENTS = 0x30009000,
	CHUNK_TABLES = 0x3000a000,
};

static const uint32_t chunk_end = 0xf0000000;

struct hyperv_cpus {
	struct x86_cpu *list;
	unsigned int *seen;             /* of each CPU: SEEN_ bits              */
	size_t num;
	bool is_arm, is_secure;         /* is_secure: chunks are of a higher trust level */
};

enum { SEEN_GENERAL = 1, SEEN_CONTROL = 2 };

static struct gdump_error *hyperv_next_cpu(struct hyperv_cpus *c)
{
	if (c->num == MAX_CPUS)
		return error_new(GDUMP_ERR_CORRUPT, "the state of the partition has too many CPUs");
	if (!ARRAY_GROW(c->list, c->num) || !ARRAY_GROW(c->seen, c->num))
		return error_nomem();
	c->list[c->num] = (struct x86_cpu){ 0 };
	c->seen[c->num++] = 0;
	c->is_secure = false;
	return NULL;
}

static unsigned int hyperv_take_general(struct x86_cpu *cpu, struct cursor *c)
{
	static const enum x86_reg order[] = {
		X86_RAX, X86_RCX, X86_RDX, X86_RBX, X86_RSP, X86_RBP, X86_RSI, X86_RDI, X86_R8, X86_R9,
		X86_R10, X86_R11, X86_R12, X86_R13, X86_R14, X86_R15, X86_RIP, X86_RFLAGS,
	};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		cpu->regs[order[i]] = get_u64(c);
	return c->bad ? 0 : SEEN_GENERAL;
}

static unsigned int hyperv_take_control(struct x86_cpu *cpu, struct cursor *c)
{
	cpu->cr0 = get_u64(c);
	cpu->cr2 = get_u64(c);
	cpu->cr3 = get_u64(c);
	cpu->cr4 = get_u64(c);
	get_u64(c);                     /* cr8 */
	cpu->efer = get_u64(c);
	return c->bad ? 0 : SEEN_CONTROL;
}

static void hyperv_take_segments(struct x86_cpu *cpu, struct cursor *c)
{
	static const enum x86_seg order[] = {
		X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_LDT, X86_TR,
	};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		struct x86_segment *s = &cpu->segs[order[i]];

		s->base = get_u64(c);
		s->limit = get_u32(c);
		s->selector = get_u16(c);
		s->flags = x86_flags_of_rights(get_u16(c));
	}
}

static void hyperv_take_tables(struct x86_cpu *cpu, struct cursor *c)
{
	static const enum x86_seg order[] = { X86_IDT, X86_GDT };

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		struct x86_segment *s = &cpu->segs[order[i]];

		cursor_take(c, 6);
		s->limit = get_u16(c);
		s->base = get_u64(c);
	}
}

static struct gdump_error *hyperv_take_chunk(struct hyperv_cpus *cpus, uint32_t id, struct cursor c)
{
	struct x86_cpu *cpu = cpus->num ? &cpus->list[cpus->num - 1] : NULL;
	unsigned int *seen = cpus->num ? &cpus->seen[cpus->num - 1] : NULL;

	if (id == CHUNK_CPU)
		return hyperv_next_cpu(cpus);
	if (id == CHUNK_PROLOG) {
		get_u64(&c);
		cpus->is_arm = get_u32(&c) == VENDOR_ARM;
	}
	if (id == CHUNK_TRUST_LEVEL)
		cpus->is_secure = get_u8(&c);
	if (!cpu || cpus->is_secure || cpus->is_arm)
		return NULL;
	if (id == CHUNK_GENERAL)
		*seen |= hyperv_take_general(cpu, &c);
	else if (id == CHUNK_CONTROL)
		*seen |= hyperv_take_control(cpu, &c);
	else if (id == CHUNK_SEGMENTS)
		hyperv_take_segments(cpu, &c);
	else if (id == CHUNK_TABLES)
		hyperv_take_tables(cpu, &c);
	return NULL;
}

static struct gdump_error *hyperv_take_chunks(struct hyperv_cpus *cpus, struct cursor *c)
{
	struct gdump_error *err = NULL;
	uint64_t skip;

	get_u64(c);
	skip = get_u64(c) + CHUNKS_AFTER;
	if (skip < 2 * 8 || skip - 2 * 8 > cursor_left(c))
		return error_new(GDUMP_ERR_CORRUPT, "the header of the partition's state is invalid");
	cursor_take(c, (size_t)skip - 2 * 8);
	while (!err && cursor_left(c) >= 16) {
		const uint32_t id = get_u32(c), len = get_u32(c);
		unsigned char *body;

		get_u64(c);
		body = cursor_take(c, len);
		if (id == chunk_end)
			break;
		if (!body)
			return error_new(GDUMP_ERR_CORRUPT, "the state of the partition ends early");
		err = hyperv_take_chunk(cpus, id, cursor_init(body, len, false, true));
	}
	return err;
}

struct gdump_error *hyperv_add_cpus(const unsigned char *state, size_t len, struct image *image)
{
	struct hyperv_cpus cpus = { 0 };
	struct cursor c = cursor_init(state, len, false, true);
	struct gdump_error *err = hyperv_take_chunks(&cpus, &c);

	image->machine = cpus.is_arm ? EM_AARCH64 : EM_X86_64;
	for (size_t i = 0; !err && i < cpus.num; i++) {
		if (!cpus.is_arm && cpus.seen[i] == (SEEN_GENERAL | SEEN_CONTROL))
			err = x86_cpu_add_notes(&cpus.list[i], i, image);
		else
			image->num_lost_cpus++;
	}
	free(cpus.list);
	free(cpus.seen);
	return err;
}
