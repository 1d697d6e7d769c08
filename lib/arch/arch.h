/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * arch.h - what differs from CPU to CPU
 */
#pragma once

#include "../error.h"

struct image;
struct paging;
struct source;

/* A register in a note. */
struct reg {
	const char *name;
	uint16_t off;                   /* in the note's descriptor             */
	uint8_t size;                   /* bytes: at most 16                    */
	bool key;                       /* program counter or stack pointer     */
};

/* Registers that a note other than NT_PRSTATUS has. */
struct reg_set {
	const char *name;               /* what kind: unique for the machine    */
	const char *owner;              /* the note's name and type             */
	uint32_t type;
	const struct reg *regs;         /* ends with a NULL name; those behind
					 * the note's end are not there         */
};

/* Registers 0 to 15, and 0 to 31, by a macro that makes one */
#define REGS_16(R) \
	R(0), R(1), R(2), R(3), R(4), R(5), R(6), R(7), \
	R(8), R(9), R(10), R(11), R(12), R(13), R(14), R(15)
#define REGS_16_TO_31(R) \
	R(16), R(17), R(18), R(19), R(20), R(21), R(22), R(23), \
	R(24), R(25), R(26), R(27), R(28), R(29), R(30), R(31)
#define REGS_32(R) REGS_16(R), REGS_16_TO_31(R)

/* Where VMCOREINFO is said to be */
struct vmcoreinfo_loc {
	uint64_t paddr;
	size_t size;                    /* of the text, whose sum is right; 0: it is
					 * a note, and nothing was looked at    */
};
enum { MAX_VMCOREINFO = 65536 };        /* a page, of the largest size          */

struct arch {
	const char *name;               /* as uname -m says                     */
	const char *little_name;        /* of a little-endian one, if another   */
	uint16_t machine;               /* ELF e_machine                        */
	bool is64;
	bool only_little, only_big;     /* there is no other byte order         */
	uint32_t page_size;             /* when nothing tells                   */
	bool one_page_size;             /* kernels have no other                */
	const char *kernel_key;         /* of VMCOREINFO, of its kernels only;
					 * NULL: none is known                  */
	uint16_t prstatus_size;         /* descriptor of NT_PRSTATUS            */
	const struct reg *regs;         /* of it; ends with a NULL name         */
	const struct reg_set *sets;     /* of other notes; NULL, or ends with a
					 * NULL name                            */
	/* Memory that the kernel has mapped from @lowmem_vaddr on, from the first
	 * byte of all; size 0: none, or not known
	 */
	uint64_t lowmem_vaddr, lowmem_size;
	uint8_t section_bits;           /* log2 of the bytes of a SPARSEMEM section, for
					 * kernels whose VMCOREINFO lacks it    */
	bool pv_dumps;                  /* firmware dumps protected guests      */
	uint64_t firmware_last;         /* last byte of the firmware; 0: anywhere */
	/* Whether the registers tell that the guest has not the byte order that
	 * the dump is in.  May be NULL.
	 */
	bool (*wrong_order)(const struct image *image);
	/* kdump's phys_base by VMCOREINFO; @image may have ranges only */
	uint64_t (*phys_base)(const struct image *image);
	/* Physical address of a virtual one inside the kernel's image; false:
	 * VMCOREINFO does not tell.
	 */
	bool (*image_paddr)(const struct image *image, uint64_t vaddr, uint64_t *paddr);
	/* Where the kernel says in memory that its VMCOREINFO is; false: it does not.
	 * May be NULL.
	 */
	bool (*vmcoreinfo)(struct source *s, struct vmcoreinfo_loc *ret);
	/* The kernel's page tables by VMCOREINFO; see machine/walker.h.  @ret has
	 * its defaults: 8 byte entries in the dump's byte order.
	 */
	bool (*paging)(struct source *s, struct paging *ret);
	/* Those of a CPU by one of its notes; false: @n does not tell. */
	bool (*cpu_paging)(const struct image *image, const struct gdump_note *n,
			   struct paging *ret);
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

/* QEMU's own note for x86: see x86_note.c */
extern const struct reg_set x86_sets[];
bool x86_cpu_paging(const struct image *image, const struct gdump_note *n, struct paging *ret);

/* See ppc64_paging.c */
bool ppc64_paging(struct source *s, struct paging *ret);

/* The i-th one, or NULL past the end. */
const struct arch *arch_at(size_t i);
/* What uname -m says on the machine of @image. */
const char *arch_uname(const struct image *image);
/* By what uname -m says; @big: its byte order.  NULL: unknown. */
const struct arch *arch_by_name(const char *name, bool *big);
/* By ELF machine; never NULL. */
const struct arch *arch_by_machine(uint16_t machine);
/* By the kernel's VMCOREINFO; never NULL. */
const struct arch *arch_by_kernel(const struct image *image);

/* The page tables of x86-64 from CR3 on; @mask: bits that are no address. */
void x86_64_set_paging(struct paging *p, uint64_t root, bool la57, uint64_t mask);

/* Complete @image: sort and merge the ranges, find the architecture and the page size, count
 * the CPUs, read VMCOREINFO, and correct what producers are known to get wrong.  A source
 * calls it when it has added all ranges and notes; it may be called again.
 */
MUST_CHECK struct gdump_error *image_seal(struct image *image);

/* The page tables of the guest's kernel, found by VMCOREINFO; false: they were not found,
 * and there is nothing to deinit.
 */
bool paging_of_kernel(struct source *s, struct paging *ret);
/* Those that a CPU was using, found by its notes; false: the notes do not have them. */
bool paging_of_cpu(struct source *s, size_t cpu, struct paging *ret);
