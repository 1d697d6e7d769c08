/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kvm_aarch64.c - an aarch64 CPU of KVM: NT_PRSTATUS and NT_FPREGSET
 *
 * Facts: struct user_pt_regs and user_fpsimd_state of Linux, KVM's api.rst
 * (KVM_GET_ONE_REG), QEMU's target/arm/arch_dump.c.
 */
#include "kvm.h"

#include <elf.h>
#include <linux/kvm.h>
#include <stddef.h>

#include "../util/bits.h"
#include "../util/cursor.h"

enum {
	PRSTATUS_SIZE = 392, PRSTATUS_PID = 32, PRSTATUS_REGS = 112,
	FPSIMD_SIZE = 528,
	PSTATE_SP = 1, PSTATE_EL = 0xc,         /* which stack pointer; level    */
};

#define CORE_REG(size, member) \
	(KVM_REG_ARM64 | KVM_REG_ARM_CORE | (size) | KVM_REG_ARM_CORE_REG(member))

const char *const kvm_arch = "aarch64";
const struct kvm_sync *const kvm_sync = NULL;

static struct gdump_error *kvm_aarch64_get_reg(kvm_ioctl_fn *fn, int fd, uint64_t id, void *ret)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)ret };

	return kvm_get(fn, fd, KVM_GET_ONE_REG, &reg, "KVM_GET_ONE_REG");
}

/* x0 to x30, sp, pc, pstate */
static struct gdump_error *kvm_aarch64_get_general(kvm_ioctl_fn *fn, int fd, uint64_t regs[34])
{
	struct gdump_error *err = NULL;

	/* each step of a core register's number is four bytes of struct kvm_regs */
	for (unsigned int i = 0; !err && i < 31; i++)
		err = kvm_aarch64_get_reg(fn, fd, CORE_REG(KVM_REG_SIZE_U64, regs.regs[0]) + 2 * i,
					  &regs[i]);
	if (!err)
		err = kvm_aarch64_get_reg(fn, fd, CORE_REG(KVM_REG_SIZE_U64, regs.pc), &regs[32]);
	if (!err)
		err = kvm_aarch64_get_reg(fn, fd, CORE_REG(KVM_REG_SIZE_U64, regs.pstate),
					  &regs[33]);
	if (err)
		return err;
	return kvm_aarch64_get_reg(fn, fd, regs[33] & PSTATE_SP && regs[33] & PSTATE_EL ?
				       CORE_REG(KVM_REG_SIZE_U64, sp_el1) :
				       CORE_REG(KVM_REG_SIZE_U64, regs.sp), &regs[31]);
}

static struct gdump_error *kvm_aarch64_add_prstatus(kvm_ioctl_fn *fn, int fd, size_t cpu,
						    struct image *image)
{
	unsigned char desc[PRSTATUS_SIZE] = { 0 };
	struct cursor c = cursor_init(desc, sizeof(desc), image->big, true);
	uint64_t regs[34];
	struct gdump_error *err = kvm_aarch64_get_general(fn, fd, regs);

	if (err)
		return err;
	cursor_take(&c, PRSTATUS_PID);
	put_u32(&c, (uint32_t)cpu + 1);
	cursor_take(&c, PRSTATUS_REGS - PRSTATUS_PID - 4);
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		put_u64(&c, regs[i]);
	return image_add_note(image, "CORE", NT_PRSTATUS, desc, sizeof(desc));
}

/* A CPU with SVE does not have these in this way: then there is no such note. */
static struct gdump_error *kvm_aarch64_add_fpregs(kvm_ioctl_fn *fn, int fd, struct image *image)
{
	unsigned char desc[FPSIMD_SIZE] = { 0 };
	CLEANUP_ERROR struct gdump_error *err = NULL;

	for (unsigned int i = 0; !err && i < 32; i++)
		err = kvm_aarch64_get_reg(fn, fd,
					  CORE_REG(KVM_REG_SIZE_U128, fp_regs.vregs[0]) + 4 * i,
					  desc + 16 * i);
	if (!err)
		err = kvm_aarch64_get_reg(fn, fd, CORE_REG(KVM_REG_SIZE_U32, fp_regs.fpsr),
					  desc + 512);
	if (!err)
		err = kvm_aarch64_get_reg(fn, fd, CORE_REG(KVM_REG_SIZE_U32, fp_regs.fpcr),
					  desc + 516);
	return err ? NULL : image_add_note(image, "CORE", NT_FPREGSET, desc, sizeof(desc));
}

struct gdump_error *kvm_add_notes(kvm_ioctl_fn *fn, int fd, size_t cpu, struct image *image)
{
	struct gdump_error *err = kvm_aarch64_add_prstatus(fn, fd, cpu, image);

	return err ? err : kvm_aarch64_add_fpregs(fn, fd, image);
}
