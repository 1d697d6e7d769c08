/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * arch.h - what differs from CPU to CPU
 */
#pragma once

#include "../error.h"

struct image;
struct paging;
struct source;

/* A register in NT_PRSTATUS. */
struct reg {
	const char *name;
	uint16_t off;                   /* in the note's descriptor             */
	uint8_t size;                   /* bytes                                */
};

struct arch {
	const char *name;               /* as uname -m says                     */
	uint16_t machine;               /* ELF e_machine                        */
	bool is64;
	uint32_t page_size;             /* when nothing tells                   */
	bool one_page_size;             /* kernels have no other                */
	uint16_t prstatus_size;         /* descriptor of NT_PRSTATUS            */
	const struct reg *regs;         /* ends with a NULL name                */
	/* kdump's phys_base by VMCOREINFO; @image may have ranges only */
	uint64_t (*phys_base)(const struct image *image);
	/* Physical address of a virtual one inside the kernel's image; false:
	 * VMCOREINFO does not tell.
	 */
	bool (*image_paddr)(const struct image *image, uint64_t vaddr, uint64_t *paddr);
	/* The kernel's page tables by VMCOREINFO; see kernel/paging.h.  @ret has
	 * its defaults: 8 byte entries in the dump's byte order.
	 */
	bool (*paging)(struct source *s, struct paging *ret);
};

#define ARCHES(X)  \
	X(x86_64)  \
	X(i386)    \
	X(aarch64) \
	X(arm)     \
	X(ppc64)   \
	X(s390x)   \
	X(riscv64) \
	X(loongarch64)

#define X(name) extern const struct arch arch_##name;
ARCHES(X)
#undef X
extern const struct arch arch_unknown;

/* The i-th one, or NULL past the end. */
const struct arch *arch_at(size_t i);
/* By ELF machine; never NULL. */
const struct arch *arch_by_machine(uint16_t machine);
