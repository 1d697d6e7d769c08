/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <elf.h>

#include "../machine/image.h"
#include "arch.h"

#define R(n) { "r" #n, 112 + 8 * n, 8 }
static const struct reg regs[] = {
	R(0), { "r1", 120, 8, true },
	R(2), R(3), R(4), R(5), R(6), R(7), R(8), R(9), R(10), R(11), R(12), R(13), R(14), R(15),
	REGS_16_TO_31(R),
	{ "nip", 368, 8, true }, { "msr", 376, 8 }, { "orig_r3", 384, 8 }, { "ctr", 392, 8 },
	{ "lr", 400, 8 }, { "xer", 408, 8 }, { "ccr", 416, 8 }, { "softe", 424, 8 },
	{ "trap", 432, 8 }, { "dar", 440, 8 }, { "dsisr", 448, 8 }, { "result", 456, 8 },
	{ 0 },
};
#undef R

#define F(n) { "f" #n, 8 * n, 8 }
#define V(n) { "vr" #n, 16 * n, 16 }
#define L(n) { "vs" #n "l", 8 * n, 8 }
static const struct reg fp[] = { REGS_32(F), { "fpscr", 256, 8 }, { 0 } };
static const struct reg vmx[] = { REGS_32(V), { "vscr", 524, 4 }, { 0 } };
/* the low halves of vs0 to vs31; the high ones are f0 to f31 */
static const struct reg vsx[] = { REGS_32(L), { 0 } };
#undef F
#undef V
#undef L

static const struct reg_set sets[] = {
	{ "float", "CORE", NT_FPREGSET, fp },
	{ "vmx", "CORE", NT_PPC_VMX, vmx },
	{ "vsx", "CORE", NT_PPC_VSX, vsx },
	{ 0 },
};

/* The linear map has all memory, and the kernel image at its start. */
enum { LINEAR_BITS = 51 };

static bool ppc64_image_paddr(const struct image *image, uint64_t vaddr, uint64_t *paddr)
{
	(void)image;
	*paddr = vaddr & 0x0fffffffffffffff;
	return vaddr >> 60 == 0xc;
}

/* QEMU before 8.0 treats every pseries guest as big-endian.  Linux does not change its byte
 * order, so one CPU with MSR.LE set is proof; a CPU without it may be in firmware.
 */
static bool ppc64_wrong_order(const struct image *image)
{
	enum { MSR = 376, LE = 1 };
	const struct gdump_note *n;

	for (size_t cpu = 0; image->big && cpu < image->num_cpus_with_notes; cpu++) {
		for (size_t i = 0; (n = image_cpu_note(image, cpu, i)); i++) {
			const unsigned char *desc = n->desc;

			if (n->type == NT_PRSTATUS && n->size == arch_ppc64.prstatus_size &&
			    desc[MSR + 7] & LE)
				return true;
		}
	}
	return false;
}

const struct arch arch_ppc64 = {
	.name = "ppc64",
	.little_name = "ppc64le",
	.machine = EM_PPC64,
	.is64 = true,
	.page_size = 65536,
	.kernel_key = "SYMBOL(mmu_psize_defs)",
	.prstatus_size = 504,
	.section_bits = 24,
	.regs = regs,
	.sets = sets,
	.lowmem_vaddr = 0xc000000000000000,
	.lowmem_size = (uint64_t)1 << LINEAR_BITS,
	.wrong_order = ppc64_wrong_order,
	.image_paddr = ppc64_image_paddr,
	.paging = ppc64_paging,
};
