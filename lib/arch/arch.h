/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * arch.h - what differs from CPU to CPU
 *
 * Each architecture is one row, a struct arch in a file of its own.  Facts about a CPU are
 * members of its row; other directories compare no ELF machine numbers.  Rows are constant, and
 * their functions may be called from any thread, as far as the source that they read allows.
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
	bool key;                       /* the program counter or stack pointer */
};

/* The registers in a note other than NT_PRSTATUS */
struct reg_set {
	const char *name;               /* of the set, unique for the machine   */
	const char *owner;              /* the note's name and type             */
	uint32_t type;
	const struct reg *regs;         /* ends with a NULL name; a note may be
					 * too short for the last ones          */
};

/* Registers 0 to 15, 16 to 31, and 0 to 31, by a macro that defines one */
#define REGS_16(R) \
	R(0), R(1), R(2), R(3), R(4), R(5), R(6), R(7), \
	R(8), R(9), R(10), R(11), R(12), R(13), R(14), R(15)
#define REGS_16_TO_31(R) \
	R(16), R(17), R(18), R(19), R(20), R(21), R(22), R(23), \
	R(24), R(25), R(26), R(27), R(28), R(29), R(30), R(31)
#define REGS_32(R) REGS_16(R), REGS_16_TO_31(R)

/* The location of VMCOREINFO */
struct vmcoreinfo_loc {
	uint64_t paddr;
	size_t size;                    /* of the text, whose checksum is right; 0:
					 * a note is there, not yet examined    */
};
enum { MAX_VMCOREINFO = 65536 };        /* bytes: a page of the largest size    */

struct arch {
	const char *name;               /* of uname -m: "i686", "armv7l"         */
	const char *little_name;        /* of a little-endian one, if different */
	uint16_t machine;               /* ELF e_machine                        */
	bool is64;
	bool only_little, only_big;     /* the other byte order does not exist  */
	uint32_t page_size;             /* in bytes, if it is unknown           */
	bool one_page_size;             /* kernels use no other                 */
	const char *kernel_key;         /* in VMCOREINFO of its kernels only; NULL:
					 * there is none                        */
	uint16_t prstatus_size;         /* bytes of NT_PRSTATUS's descriptor     */
	const struct reg *regs;         /* in it; ends with a NULL name         */
	const struct reg_set *sets;     /* in other notes; NULL, or ends with a
					 * NULL name                            */
	/* The kernel maps memory linearly: the first @lowmem_size bytes are at
	 * @lowmem_vaddr; size 0: not, or unknown.
	 */
	uint64_t lowmem_vaddr, lowmem_size;
	uint8_t section_bits;           /* log2 of the bytes of a SPARSEMEM section, for
					 * kernels whose VMCOREINFO lacks it    */
	bool pv_dumps;                  /* firmware dumps protected guests      */
	uint64_t firmware_last;         /* last byte of the firmware; 0: unknown */
	/* Whether the registers prove that the notes are not in the guest's byte order.  May
	 * be NULL.
	 */
	bool (*wrong_order)(const struct image *image);
	/* kdump's phys_base by VMCOREINFO; @image may have only ranges.  May be NULL. */
	uint64_t (*phys_base)(const struct image *image);
	/* Translate an address inside the kernel image by VMCOREINFO; false: it lacks what
	 * that needs.  May be NULL.
	 */
	bool (*image_paddr)(const struct image *image, uint64_t vaddr, uint64_t *paddr);
	/* Find VMCOREINFO by an address that the kernel stores at a fixed place; false: there
	 * is none.  May be NULL.
	 */
	bool (*vmcoreinfo)(struct source *s, struct vmcoreinfo_loc *ret);
	/* Find the kernel's page tables by VMCOREINFO; see machine/walker.h.  The caller has
	 * set the defaults of @ret: 8-byte entries in the dump's byte order.  May be NULL.
	 */
	bool (*paging)(struct source *s, struct paging *ret);
	/* Find those of a CPU by one of its notes; false: @n does not have them.  May be NULL. */
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
/* The name by uname -m of the machine of @image. */
const char *arch_uname(const struct image *image);
/* Find a row by uname -m; @big: the byte order of that name.  NULL: unknown. */
const struct arch *arch_by_name(const char *name, bool *big);
/* Find a row by ELF machine; &arch_unknown if there is none. */
const struct arch *arch_by_machine(uint16_t machine);
/* Find a row by the kernel's VMCOREINFO; &arch_unknown if there is none. */
const struct arch *arch_by_kernel(const struct image *image);

/* Describe the page tables of x86-64.  @root: paddr of the top one; @la57: five levels; @mask:
 * bits of entries that are not part of the address.
 */
void x86_64_set_paging(struct paging *p, uint64_t root, bool la57, uint64_t mask);

/* Complete @image: sort and merge the ranges, find the architecture and the page size, count
 * the CPUs, read VMCOREINFO, and correct what producers are known to get wrong.  A source
 * calls it when it has added all ranges and notes; it may be called again.
 */
MUST_CHECK struct gdump_error *image_seal(struct image *image);

/* The page tables of the guest's kernel, found by VMCOREINFO.  An error says what is in the
 * way, as one clause for all that needs page tables.
 */
MUST_CHECK struct gdump_error *paging_of_kernel(struct source *s, struct paging *ret);
/* Those that a CPU was using, found by its notes; false: the notes do not have them. */
bool paging_of_cpu(struct source *s, size_t cpu, struct paging *ret);

/* See gdump_register_at(). */
bool register_at(const struct image *image, size_t cpu, size_t i, struct gdump_register *ret);
/* A general register of CPU @cpu; false: the image does not have it. */
bool register_find(const struct image *image, size_t cpu, const char *name, uint64_t *ret);
