/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/cpu_notes.c - notes about CPUs, made from the CPUs' states in a stream
 *
 * Facts: QEMU's target/i386/arch_dump.c and machine.c, target/arm/arch_dump.c and
 * machine.c; Linux's struct elf_prstatus.
 */
#include "cpu_notes.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"

enum {
	MAX_PRSTATUS = 512,
	MAX_CPUS = 1 << 16,
	PID_64 = 32, PID_32 = 24,       /* offset of the pid in NT_PRSTATUS     */
	HF_LMA = 1 << 14,               /* of hflags: long mode is active       */
};

/* A number in a note: its offset and size there, and the field of the CPU's state that has its
 * value, which is element .index of .field.  Where the elements are structs, .segment is the
 * member's name.
 */
struct value {
	uint16_t off;
	uint8_t size, index;
	const char *field;
	const char *segment;            /* or NULL                              */
};

/* The elements of "segs", in QEMU's order */
enum { ES, CS, SS, DS, FS, GS };

static const struct value prstatus_x86_64[] = {
	{ 112, 8, 15, "regs" }, { 120, 8, 14, "regs" }, { 128, 8, 13, "regs" },
	{ 136, 8, 12, "regs" }, { 144, 8, 5, "regs" },  { 152, 8, 3, "regs" },
	{ 160, 8, 11, "regs" }, { 168, 8, 10, "regs" }, { 176, 8, 9, "regs" },
	{ 184, 8, 8, "regs" },  { 192, 8, 0, "regs" },  { 200, 8, 1, "regs" },
	{ 208, 8, 2, "regs" },  { 216, 8, 6, "regs" },  { 224, 8, 7, "regs" },
	{ 240, 8, 0, "eip" },   { 248, 8, CS, "segs", "selector" },
	{ 256, 8, 0, "eflags" }, { 264, 8, 4, "regs" },
	{ 272, 8, SS, "segs", "selector" },
	{ 280, 8, FS, "segs", "base" }, { 288, 8, GS, "segs", "base" },
	{ 296, 8, DS, "segs", "selector" }, { 304, 8, ES, "segs", "selector" },
	{ 312, 8, FS, "segs", "selector" }, { 320, 8, GS, "segs", "selector" },
};

static const struct value prstatus_i386[] = {
	{ 72, 4, 3, "regs" }, { 76, 4, 1, "regs" }, { 80, 4, 2, "regs" },
	{ 84, 4, 6, "regs" }, { 88, 4, 7, "regs" }, { 92, 4, 5, "regs" },
	{ 96, 4, 0, "regs" },
	{ 100, 2, DS, "segs", "selector" }, { 104, 2, ES, "segs", "selector" },
	{ 108, 2, FS, "segs", "selector" }, { 112, 2, GS, "segs", "selector" },
	{ 120, 4, 0, "eip" }, { 124, 2, CS, "segs", "selector" },
	{ 128, 4, 0, "eflags" }, { 132, 4, 4, "regs" },
	{ 136, 2, SS, "segs", "selector" },
};

/* QEMU's own note, without its segments */
static const struct value qemu_x86[] = {
	{ 8, 8, 0, "regs" },    { 16, 8, 3, "regs" },   { 24, 8, 1, "regs" },
	{ 32, 8, 2, "regs" },   { 40, 8, 6, "regs" },   { 48, 8, 7, "regs" },
	{ 56, 8, 4, "regs" },   { 64, 8, 5, "regs" },   { 72, 8, 8, "regs" },
	{ 80, 8, 9, "regs" },   { 88, 8, 10, "regs" },  { 96, 8, 11, "regs" },
	{ 104, 8, 12, "regs" }, { 112, 8, 13, "regs" }, { 120, 8, 14, "regs" },
	{ 128, 8, 15, "regs" }, { 136, 8, 0, "eip" },   { 144, 8, 0, "eflags" },
	{ 392, 8, 0, "cr[0]" }, { 408, 8, 0, "cr[2]" }, { 416, 8, 0, "cr[3]" },
	{ 424, 8, 0, "cr[4]" }, { 432, 8, 0, "kernelgsbase" },
};

enum { QEMU_NOTE_SIZE = 440, QEMU_SEGMENT = 24, QEMU_SEGMENTS = 152 };

/* The segments in QEMU's note, QEMU_SEGMENT bytes each */
static const struct {
	const char *field;
	uint8_t index;
} qemu_segments[] = {
	{ "segs", CS }, { "segs", DS }, { "segs", ES }, { "segs", FS }, { "segs", GS },
	{ "segs", SS }, { "ldt", 0 }, { "tr", 0 }, { "gdt", 0 }, { "idt", 0 },
};

/* The CPUs in the table "machines" below are all little endian. */
static void note_put_le(unsigned char *p, uint64_t v, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

static uint64_t field_member_number(const struct field *f, size_t i, const char *name)
{
	struct field m;

	return field_member(f, i, name, &m) ? field_number(&m, 0) : 0;
}

static void note_put_values(unsigned char *note, const struct value *v, size_t num,
			    const struct device *cpu)
{
	for (size_t i = 0; i < num; i++) {
		struct field f;

		if (!device_field(cpu, v[i].field, &f))
			continue;       /* a 32-bit CPU lacks some */
		note_put_le(note + v[i].off, v[i].segment ? field_member_number(&f, v[i].index, v[i].segment)
						     : field_number(&f, v[i].index), v[i].size);
	}
}

/* All members of struct elf_prstatus before the registers, except the pid, remain zero. */
static struct gdump_error *x86_add_prstatus(struct image *image, const struct device *cpu,
					    const struct value *values, size_t num)
{
	const struct arch *arch = arch_by_machine(image->machine);
	unsigned char note[MAX_PRSTATUS] = { 0 };

	note_put_le(note + (arch->is64 ? PID_64 : PID_32), (uint64_t)cpu->instance + 1, 4);
	note_put_values(note, values, num, cpu);
	return image_add_note(image, "CORE", NT_PRSTATUS, note, arch->prstatus_size);
}

static struct gdump_error *x86_add_qemu(struct image *image, const struct device *cpu)
{
	unsigned char note[QEMU_NOTE_SIZE] = { 0 };

	note_put_le(note, 1, 4);
	note_put_le(note + 4, QEMU_NOTE_SIZE, 4);
	note_put_values(note, qemu_x86, ARRAY_SIZE(qemu_x86), cpu);
	for (size_t i = 0; i < ARRAY_SIZE(qemu_segments); i++) {
		unsigned char *p = note + QEMU_SEGMENTS + i * QEMU_SEGMENT;
		const size_t k = qemu_segments[i].index;
		struct field f;

		if (!device_field(cpu, qemu_segments[i].field, &f))
			continue;
		note_put_le(p, field_member_number(&f, k, "selector"), 4);
		note_put_le(p + 4, field_member_number(&f, k, "limit"), 4);
		note_put_le(p + 8, field_member_number(&f, k, "flags"), 4);
		note_put_le(p + 16, field_member_number(&f, k, "base"), 8);
	}
	return image_add_note(image, "QEMU", 0, note, sizeof(note));
}

static struct gdump_error *x86_add(struct image *image, const struct device *const *cpus,
				   size_t num)
{
	struct gdump_error *err = NULL;
	uint64_t hflags;

	if (device_number(cpus[0], "hflags", &hflags) && !(hflags & HF_LMA)) {
		image->machine = EM_386;
		image->is64 = false;
	}
	for (size_t i = 0; !err && i < num; i++) {
		if (image->machine == EM_386)
			err = x86_add_prstatus(image, cpus[i], prstatus_i386,
					   ARRAY_SIZE(prstatus_i386));
		else
			err = x86_add_prstatus(image, cpus[i], prstatus_x86_64,
					   ARRAY_SIZE(prstatus_x86_64));
	}
	for (size_t i = 0; !err && i < num; i++)
		err = x86_add_qemu(image, cpus[i]);
	return err;
}

/* arm64 ------------------------------------------------------------------- */

enum { ARM64_REGS = 112, ARM64_NUM_REGS = 31, ARM64_FPVALID = 384, ARM64_FPREGS = 528 };

/* The bits of the 32-bit FPSCR that make up FPSR and FPCR */
static const uint32_t fpsr_bits = 0xf800009f, fpcr_bits = 0x07f79f00;

static struct gdump_error *arm64_add_prstatus(struct image *image, const struct device *cpu)
{
	unsigned char note[MAX_PRSTATUS] = { 0 };
	uint64_t pc = 0, pstate = 0;
	struct field x;

	if (!device_field(cpu, "xregs", &x))
		return NULL;
	device_number(cpu, "pc", &pc);
	device_number(cpu, "cpsr", &pstate);
	note_put_le(note + PID_64, (uint64_t)cpu->instance + 1, 4);
	for (size_t i = 0; i <= ARM64_NUM_REGS; i++)    /* sp follows x30 */
		note_put_le(note + ARM64_REGS + 8 * i, field_number(&x, i), 8);
	note_put_le(note + ARM64_REGS + 8 * 32, pc, 8);
	note_put_le(note + ARM64_REGS + 8 * 33, pstate, 8);
	note_put_le(note + ARM64_FPVALID, 1, 4);
	return image_add_note(image, "CORE", NT_PRSTATUS, note,
			      arch_by_machine(image->machine)->prstatus_size);
}

static struct gdump_error *arm64_add_fpregs(struct image *image, const struct device *cpu)
{
	unsigned char note[ARM64_FPREGS] = { 0 };
	struct field f;
	char name[32];

	for (unsigned int i = 0; i < 32; i++) {
		snprintf(name, sizeof(name), "vfp.zregs[%u].d", i);
		if (!device_part_field(cpu, "cpu/vfp", name, &f))
			continue;
		note_put_le(note + 16 * i, field_number(&f, 0), 8);
		note_put_le(note + 16 * i + 8, field_number(&f, 1), 8);
	}
	if (device_part_field(cpu, "cpu/vfp", "fpscr", &f)) {
		note_put_le(note + 512, field_number(&f, 0) & fpsr_bits, 4);
		note_put_le(note + 516, field_number(&f, 0) & fpcr_bits, 4);
	}
	return image_add_note(image, "CORE", NT_FPREGSET, note, sizeof(note));
}

static struct gdump_error *arm64_add(struct image *image, const struct device *const *cpus,
				     size_t num)
{
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < num; i++) {
		err = arm64_add_prstatus(image, cpus[i]);
		if (!err)
			err = arm64_add_fpregs(image, cpus[i]);
	}
	return err;
}

/* The machines for which notes can be made */
static const struct {
	uint16_t machine;
	struct gdump_error *(*add)(struct image *image, const struct device *const *cpus,
				   size_t num);
} machines[] = {
	{ EM_X86_64,  x86_add },
	{ EM_AARCH64, arm64_add },
};

/* The kinds of notes that cpu_notes_add() makes */
static const struct {
	uint16_t machine;
	uint32_t type;
	const char *name;
} made[] = {
	{ EM_X86_64,  NT_PRSTATUS, "CORE" }, { EM_X86_64, 0, "QEMU" },
	{ EM_386,     NT_PRSTATUS, "CORE" }, { EM_386, 0, "QEMU" },
	{ EM_AARCH64, NT_PRSTATUS, "CORE" }, { EM_AARCH64, NT_FPREGSET, "CORE" },
};

static bool note_is_made(const struct image *image, const struct gdump_note *n)
{
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		if (made[i].machine == image->machine && made[i].type == n->type &&
		    !strcmp(made[i].name, n->name))
			return true;
	}
	return false;
}

bool cpu_notes_cover(const struct image *image)
{
	for (size_t i = 0; i < image->num_notes; i++) {
		if (image->notes[i].cpu >= 0 && !note_is_made(image, &image->notes[i]))
			return false;
	}
	return image->num_cpus;
}

static int cpu_by_instance(const void *a, const void *b)
{
	const struct device *const *x = a, *const *y = b;

	return ((*x)->instance > (*y)->instance) - ((*x)->instance < (*y)->instance);
}

struct gdump_error *cpu_notes_add(struct image *image, const struct devices *d)
{
	const struct device **cpus = calloc(d->num + 1, sizeof(*cpus));
	struct gdump_error *err = NULL;
	size_t num = 0;

	if (!cpus)
		return error_nomem();
	for (size_t i = 0; i < d->num && num < MAX_CPUS; i++) {
		if (!strcmp(d->list[i].name, "cpu"))
			cpus[num++] = &d->list[i];
	}
	qsort(cpus, num, sizeof(*cpus), cpu_by_instance);
	for (size_t i = 0; num && i < ARRAY_SIZE(machines); i++) {
		if (machines[i].machine == image->machine) {
			err = machines[i].add(image, cpus, num);
			break;
		}
	}
	free(cpus);
	return err;
}
