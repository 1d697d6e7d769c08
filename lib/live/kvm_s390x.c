/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kvm_s390x.c - an s390x CPU of KVM: the notes that QEMU's dumps have
 *
 * PSW, prefix, vector and guarded storage registers are in struct kvm_run, which
 * is the first page of the CPU's descriptor.  With the vector facility the
 * floating-point registers are the upper halves of the first sixteen.
 *
 * Facts: KVM's api.rst, Linux's arch/s390/include/uapi/asm/kvm.h, QEMU's
 * target/s390x/arch_dump.c.
 */
#include "kvm.h"

#include <elf.h>
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/mman.h>

#include "../util/bits.h"
#include "../util/cursor.h"

enum { PRSTATUS_SIZE = 336, FPREGS_SIZE = 136, RUN_SIZE = 4096 };

const char *const kvm_arch = "s390x";
const struct kvm_sync *const kvm_sync = NULL;

struct cpu {
	size_t index;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	uint64_t timer, todcmp;
	uint32_t todpr;
	const struct kvm_run *run;
};

static struct gdump_error *kvm_s390x_get_reg(kvm_ioctl_fn *fn, int fd, uint64_t id, void *ret)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)ret };

	return kvm_get(fn, fd, KVM_GET_ONE_REG, &reg, "KVM_GET_ONE_REG");
}

static struct gdump_error *kvm_s390x_get_cpu(kvm_ioctl_fn *fn, int fd, struct cpu *c)
{
	struct gdump_error *err = kvm_get(fn, fd, KVM_GET_REGS, &c->regs, "KVM_GET_REGS");

	if (!err)
		err = kvm_get(fn, fd, KVM_GET_SREGS, &c->sregs, "KVM_GET_SREGS");
	if (!err)
		err = kvm_get(fn, fd, KVM_GET_FPU, &c->fpu, "KVM_GET_FPU");
	if (!err)
		err = kvm_s390x_get_reg(fn, fd, KVM_REG_S390_CPU_TIMER, &c->timer);
	if (!err)
		err = kvm_s390x_get_reg(fn, fd, KVM_REG_S390_CLOCK_COMP, &c->todcmp);
	if (!err)
		err = kvm_s390x_get_reg(fn, fd, KVM_REG_S390_TODPR, &c->todpr);
	return err;
}

static struct gdump_error *kvm_s390x_add_prstatus(struct image *image, const struct cpu *cpu)
{
	unsigned char desc[PRSTATUS_SIZE] = { 0 };
	struct cursor c = cursor_init(desc, sizeof(desc), true, true);

	cursor_take(&c, 32);
	put_u32(&c, (uint32_t)cpu->index + 1);
	cursor_take(&c, 112 - 36);
	put_u64(&c, cpu->run->psw_mask);
	put_u64(&c, cpu->run->psw_addr);
	put_bytes(&c, cpu->regs.gprs, sizeof(cpu->regs.gprs));
	put_bytes(&c, cpu->sregs.acrs, sizeof(cpu->sregs.acrs));
	put_u64(&c, cpu->regs.gprs[2]);
	return image_add_note(image, "CORE", NT_PRSTATUS, desc, sizeof(desc));
}

static struct gdump_error *kvm_s390x_add_fpregs(struct image *image, const struct cpu *cpu)
{
	unsigned char desc[FPREGS_SIZE] = { 0 };

	memcpy(desc, &cpu->fpu.fpc, 4);
	memcpy(desc + 8, cpu->fpu.fprs, sizeof(cpu->fpu.fprs));
	return image_add_note(image, "CORE", NT_FPREGSET, desc, sizeof(desc));
}

static struct gdump_error *kvm_s390x_add_vectors(struct image *image, const struct cpu *cpu)
{
	const struct kvm_sync_regs *s = &cpu->run->s.regs;
	unsigned char low[16][8], gs[32] = { 0 };
	struct gdump_error *err = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(low); i++)
		memcpy(low[i], &s->vrs[i][1], sizeof(low[i]));
	if (cpu->run->kvm_valid_regs & KVM_SYNC_VRS) {
		err = image_add_note(image, "LINUX", NT_S390_VXRS_LOW, low, sizeof(low));
		if (!err)
			err = image_add_note(image, "LINUX", NT_S390_VXRS_HIGH, s->vrs[16], 256);
	}
	if (err || !(cpu->run->kvm_valid_regs & KVM_SYNC_GSCB))
		return err;
	memcpy(gs, s->gscb, sizeof(gs));
	return image_add_note(image, "LINUX", NT_S390_GS_CB, gs, sizeof(gs));
}

static struct gdump_error *kvm_s390x_add_notes(struct image *image, const struct cpu *cpu)
{
	const uint32_t prefix = (uint32_t)cpu->run->s.regs.prefix;
	const struct { uint32_t type; const void *desc; size_t size; } notes[] = {
		{ NT_S390_PREFIX, &prefix, sizeof(prefix) },
		{ NT_S390_CTRS, cpu->sregs.crs, sizeof(cpu->sregs.crs) },
		{ NT_S390_TIMER, &cpu->timer, sizeof(cpu->timer) },
		{ NT_S390_TODCMP, &cpu->todcmp, sizeof(cpu->todcmp) },
		{ NT_S390_TODPREG, &cpu->todpr, sizeof(cpu->todpr) },
	};
	struct gdump_error *err = kvm_s390x_add_prstatus(image, cpu);

	if (!err)
		err = kvm_s390x_add_fpregs(image, cpu);
	for (size_t i = 0; !err && i < ARRAY_SIZE(notes); i++)
		err = image_add_note(image, "LINUX", notes[i].type, notes[i].desc, notes[i].size);
	return err ? err : kvm_s390x_add_vectors(image, cpu);
}

struct gdump_error *kvm_add_notes(kvm_ioctl_fn *fn, int fd, size_t cpu, struct image *image)
{
	struct cpu c = { .index = cpu };
	struct gdump_error *err = kvm_s390x_get_cpu(fn, fd, &c);
	void *run;

	if (err)
		return err;
	run = mmap(NULL, RUN_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (run == MAP_FAILED)
		return error_os(errno, "cannot map struct kvm_run");
	c.run = run;
	err = kvm_s390x_add_notes(image, &c);
	munmap(run, RUN_SIZE);
	return err;
}
