/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * firecracker_state.c - the state file of a Firecracker snapshot
 *
 * Theory of operation.  The file is what a Rust program wrote of its data structures.  It does not
 * describe itself, and the structures and their encoding change with the versions: versionize until
 * 1.6, bincode until 1.14, bitcode since 1.15.  But it ends with a checksum, and in all of them the
 * registers of a CPU are the bytes of KVM's struct kvm_regs and kvm_sregs:
 *
 *     until 1.7        kvm_regs, kvm_sregs                             for each CPU
 *     1.8 to 1.14      u64 144, kvm_regs, u64 312, kvm_sregs           for each CPU
 *     1.15 and newer   0, all kvm_regs, some lengths, 0, all kvm_sregs
 *
 * So all of the file is searched for a kvm_sregs that a 64-bit CPU can have.  What is found is
 * proven by the guest's memory: the page tables of each CPU map the instruction that it executes,
 * and those of one of them, at least, the name of the kernel where VMCOREINFO says that it is.
 *
 * Facts: Firecracker's src/vmm/src/snapshot and persist.rs; struct kvm_sregs of Linux.
 */
#include "firecracker.h"

#include <elf.h>
#include <stdlib.h>

#include "../arch/arch.h"
#include "../arch/x86_cpu.h"
#include "../bytes/bytes.h"
#include "../machine/vmcoreinfo.h"
#include "../machine/walker.h"
#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum {
	MAX_STATE = 16 << 20, MIN_STATE = 512, MAX_CPUS = 4096,
	MAX_GAP = 32,                   /* bytes of lengths, and one for each CPU */
	SREGS_APIC_BASE = 272, READ_SIZE = 65536,
};

static const uint64_t magic_x86_64 = 0x0710198486640000, magic_aarch64 = 0x07101984aaaa0000;

static uint64_t firecracker_u64(const unsigned char *p)
{
	struct cursor c = cursor_init(p, 8, false, true);

	return get_u64(&c);
}

/* CRC-64 of Jones, bits reflected */
static uint64_t firecracker_crc(uint64_t crc, const unsigned char *p, size_t len)
{
	static const uint64_t polynomial = 0x95ac9329ac4bc9b5;

	while (len--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
	}
	return crc;
}

/* Where one of the magic numbers is: the first in the file, or inside of what bitcode wrote */
static uint16_t firecracker_machine(const unsigned char *buf, size_t len)
{
	for (size_t i = 0; i + 8 <= len; i++) {
		const uint64_t value = buf[i + 6] == 0x10 && buf[i + 7] == 0x07 ?
				       firecracker_u64(buf + i) : 0;

		if (value == magic_x86_64)
			return EM_X86_64;
		if (value == magic_aarch64)
			return EM_AARCH64;
	}
	return EM_NONE;
}

/* The first number of the state is the size of the memory in MiB.  The version is in front of it:
 * two bytes, or since 1.7 a text after its length.  Since 1.15 it is elsewhere.
 */
static uint64_t firecracker_memory_size(const unsigned char *buf, size_t len)
{
	static const uint64_t max_mib = (uint64_t)1 << 32;
	const uint64_t magic = firecracker_u64(buf), text = firecracker_u64(buf + 8);
	uint64_t mib;

	if (magic != magic_x86_64 && magic != magic_aarch64)
		return 0;
	if (text >= 5 && text <= 32 && 24 + text <= len && buf[17] == '.')
		mib = firecracker_u64(buf + 16 + text);
	else
		mib = firecracker_u64(buf + 10);
	return mib <= max_mib ? mib << 20 : 0;
}

bool firecracker_is_state(struct bytes *in)
{
	struct firecracker_state s = { 0 };
	struct gdump_error *err = firecracker_state_read(in, &s);

	gdump_error_destroy(err);
	firecracker_state_deinit(&s);
	return !err;
}

struct gdump_error *firecracker_state_read(struct bytes *in, struct firecracker_state *ret)
{
	struct gdump_error *err;

	*ret = (struct firecracker_state){ 0 };
	if (in->size < MIN_STATE || in->size > MAX_STATE)
		return error_new(GDUMP_ERR_FORMAT, "this is not the state of a Firecracker guest");
	ret->len = (size_t)in->size;
	ret->buf = malloc(ret->len);
	err = ret->buf ? bytes_read(in, 0, ret->buf, ret->len) : error_nomem();
	if (err)
		return err;
	ret->machine = firecracker_machine(ret->buf, ret->len);
	if (!ret->machine)
		return error_new(GDUMP_ERR_FORMAT, "this is not the state of a Firecracker guest");
	if (firecracker_crc(0, ret->buf, ret->len))
		return error_new(GDUMP_ERR_CORRUPT,
				 "the checksum of the state is wrong: the file was damaged or cut short");
	ret->memory_size = firecracker_memory_size(ret->buf, ret->len);
	return NULL;
}

void firecracker_state_deinit(struct firecracker_state *s)
{
	free(s->buf);
	s->buf = NULL;
}

/* The registers of the CPUs, as they are found */
struct firecracker_cpus {
	const unsigned char *buf;
	size_t len;
	struct x86_cpu *list;
	size_t num;
};

/* Take a CPU whose structs are at @regs and @sregs; false: they are not in the file, or no CPU can
 * have these.
 */
static bool firecracker_take(const struct firecracker_cpus *c, size_t regs, size_t sregs,
			     struct x86_cpu *ret)
{
	if (regs > c->len - X86_KVM_REGS || sregs > c->len - X86_KVM_SREGS ||
	    (firecracker_u64(c->buf + sregs + SREGS_APIC_BASE) & ~(uint64_t)0xfff) != 0xfee00000)
		return false;
	*ret = (struct x86_cpu){ 0 };
	x86_cpu_take_kvm(ret, c->buf + regs, c->buf + sregs);
	return x86_cpu_is_sane(ret);
}

static struct gdump_error *firecracker_add(struct firecracker_cpus *c, const struct x86_cpu *cpu)
{
	if (c->num >= MAX_CPUS)
		return error_new(GDUMP_ERR_UNSUPPORTED, "the state has too many CPUs");
	if (!ARRAY_GROW(c->list, c->num))
		return error_nomem();
	c->list[c->num++] = *cpu;
	return NULL;
}

/* One CPU whose kvm_sregs may be at @off, as versionize and bincode write it */
static bool firecracker_take_row(const struct firecracker_cpus *c, size_t off, struct x86_cpu *ret)
{
	if (off >= X86_KVM_REGS + 16 && firecracker_u64(c->buf + off - 8) == X86_KVM_SREGS &&
	    firecracker_u64(c->buf + off - 16 - X86_KVM_REGS) == X86_KVM_REGS)
		return firecracker_take(c, off - 8 - X86_KVM_REGS, off, ret);
	return off >= X86_KVM_REGS && firecracker_take(c, off - X86_KVM_REGS, off, ret);
}

/* Whether bitcode wrote the registers of @num CPUs at @regs and @sregs */
static bool firecracker_is_columns(const struct firecracker_cpus *c, size_t regs, size_t sregs,
				   size_t num)
{
	struct x86_cpu cpu;

	if (c->buf[regs - 1] || c->buf[sregs - 1])
		return false;
	for (size_t i = 0; i < num; i++) {
		if (!firecracker_take(c, regs + i * X86_KVM_REGS, sregs + i * X86_KVM_SREGS, &cpu))
			return false;
	}
	return true;
}

/* All CPUs whose kvm_sregs begin at @off, as bitcode writes them */
static struct gdump_error *firecracker_take_columns(struct firecracker_cpus *c, size_t off)
{
	static const uint64_t page = ~(uint64_t)0xfff;
	size_t num = 0, regs, room;

	while (off + (num + 1) * X86_KVM_SREGS <= c->len && num < MAX_CPUS &&
	       (firecracker_u64(c->buf + off + num * X86_KVM_SREGS + SREGS_APIC_BASE) & page) ==
	       0xfee00000)
		num++;
	room = num * X86_KVM_REGS;
	for (size_t gap = 1; num && gap <= num + MAX_GAP && off > room + gap; gap++) {
		struct gdump_error *err = NULL;
		struct x86_cpu cpu;

		regs = off - gap - room;
		if (!firecracker_is_columns(c, regs, off, num))
			continue;
		for (size_t i = 0; !err && i < num; i++) {
			if (firecracker_take(c, regs + i * X86_KVM_REGS, off + i * X86_KVM_SREGS, &cpu))
				err = firecracker_add(c, &cpu);
		}
		return err;
	}
	return NULL;
}

static struct gdump_error *firecracker_find_cpus(struct firecracker_cpus *c)
{
	struct gdump_error *err = NULL;
	struct x86_cpu cpu;

	for (size_t off = X86_KVM_REGS; !err && off + X86_KVM_SREGS <= c->len; off++) {
		if (firecracker_take_row(c, off, &cpu)) {
			err = firecracker_add(c, &cpu);
			off += X86_KVM_SREGS - 1;
		}
	}
	for (size_t off = X86_KVM_REGS; !err && !c->num && off + X86_KVM_SREGS <= c->len; off++) {
		if ((firecracker_u64(c->buf + off + SREGS_APIC_BASE) & ~(uint64_t)0xfff) == 0xfee00000)
			err = firecracker_take_columns(c, off);
	}
	return err;
}

static bool firecracker_maps(struct source *s, const struct x86_cpu *cpu, uint64_t root,
			     uint64_t vaddr, uint64_t *paddr)
{
	struct paging p = { .entry_size = 8 };
	struct walker w;
	uint64_t len;
	bool ret;

	x86_64_set_paging(&p, root & 0x000ffffffffff000, cpu->cr4 >> 12 & 1, 0);
	walker_init(&w, &p, s);
	ret = walker_translate(&w, vaddr, paddr, &len);
	walker_deinit(&w);
	paging_deinit(&p);
	return ret;
}

/* Whether the page tables of @cpu map the kernel's name to where it is.  Those of a process may lack
 * the kernel; then the kernel's are in the page in front of them.
 */
static bool firecracker_maps_kernel(struct source *s, const struct x86_cpu *cpu)
{
	const struct image *image = &s->image;
	uint64_t vaddr, want, got;

	if (!vmcoreinfo_symbol(image, "init_uts_ns", &vaddr) || !image->arch->image_paddr ||
	    !image->arch->image_paddr(image, vaddr, &want))
		return false;
	return (firecracker_maps(s, cpu, cpu->cr3, vaddr, &got) && got == want) ||
	       (firecracker_maps(s, cpu, cpu->cr3 & ~(uint64_t)0x1000, vaddr, &got) && got == want);
}

static const char *firecracker_doubt(struct source *s, const struct firecracker_cpus *c)
{
	bool proven = false;
	uint64_t paddr;

	if (!c->num)
		return "they were not found in the state";
	if (!s->image.vmcoreinfo)
		return "the kernel has no VMCOREINFO, which would prove them";
	for (size_t i = 0; i < c->num; i++) {
		if (!firecracker_maps(s, &c->list[i], c->list[i].cr3, c->list[i].regs[X86_RIP], &paddr))
			return "the page tables of a CPU do not map its program counter";
		proven |= firecracker_maps_kernel(s, &c->list[i]);
	}
	return proven ? NULL : "no CPU has the page tables of the kernel";
}

struct gdump_error *firecracker_add_cpus(const struct firecracker_state *state,
					 struct source *source, const char **why)
{
	struct firecracker_cpus c = { .buf = state->buf, .len = state->len };
	struct gdump_error *err = NULL;

	*why = "those of this machine are not supported";
	if (state->machine == EM_X86_64) {
		err = firecracker_find_cpus(&c);
		*why = err ? NULL : firecracker_doubt(source, &c);
	}
	for (size_t i = 0; !err && !*why && i < c.num; i++)
		err = x86_cpu_add_notes(&c.list[i], i, &source->image);
	free(c.list);
	return err;
}
