/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * win_dmp.h - crash dumps of 64-bit Windows on x86
 *
 *     header of 0x2000 bytes, memory of each run, one after the other
 *
 * Everything is little-endian.  The header is written by Windows (or by virtio-win's fwcfg
 * driver, which leaves it in guest memory for QEMU).  It has the address of the kernel's page
 * tables, and the virtual address of KDBG, the block of pointers with which a debugger starts.
 * Each CPU has a CONTEXT in memory, with its registers.
 *
 * Source: QEMU's include/qemu/win_dump_defs.h and dump/win_dump.c, the
 * wdbgexts.h and ntddk headers of Microsoft's debugger, volatility's crash dump
 * layer.  This was not tested with Windows itself, only with images that the tests build
 * from the same facts.
 */
#pragma once

#include "../machine/walker.h"
#include "pieces.h"

enum {
	WIN_PAGE = 4096,
	WIN_HEADER_SIZE = 0x2000,
	WIN_CR3 = 0x10,                 /* u64 DirectoryTableBase               */
	WIN_PFN_DATABASE = 0x18,        /* u64                                  */
	WIN_MACHINE = 0x30,             /* u32                                  */
	WIN_NUM_CPUS = 0x34,            /* u32                                  */
	WIN_BUGCHECK = 0x38,            /* u32 code, pad, u64 parameters x 4    */
	WIN_BUGCHECK_SIZE = 40,
	WIN_PARAMETER_1 = 0x40,
	WIN_KDBG = 0x80,                /* u64, virtual                         */
	WIN_NUM_RUNS = 0x88,            /* u32, pad                             */
	WIN_NUM_PAGES = 0x90,           /* u64                                  */
	WIN_RUNS = 0x98,                /* u64 first page, u64 pages            */
	WIN_MAX_RUNS = 43,
	WIN_CONTEXT = 0x348,            /* CONTEXT of the CPU that crashed      */
	WIN_DUMP_TYPE = 0xf98,          /* u32, pad                             */
	WIN_SPACE = 0xfa0,              /* u64 size of the file                 */

	WIN_MACHINE_AMD64 = 0x8664,
	WIN_LIVE_SYSTEM = 0x161,        /* the bugcheck code of a live dump     */

	/* in KDBG */
	KDBG_TAG = 0x10,                /* "KDBG"                               */
	KDBG_BUGCHECK = 0x88,           /* u64 address of the bugcheck's data   */
	KDBG_PFN_DATABASE = 0xc0,       /* u64                                  */
	KDBG_PROCESSORS = 0x218,        /* u64 address of an array of PRCBs     */
	KDBG_MEMORY = 0x270,            /* u64 address of MmPhysicalMemoryBlock, a pointer */
	KDBG_PRCB_CONTEXT = 0x338,      /* u16 offset of a pointer in a PRCB    */

	/* there: as the runs in the header */
	MEMORY_NUM_RUNS = 0,            /* u32, pad                             */
	MEMORY_NUM_PAGES = 8,           /* u64                                  */
	MEMORY_RUNS = 16,               /* u64 first page, u64 pages            */

	/* CONTEXT */
	CONTEXT_SIZE = 1232,
	CONTEXT_FLAGS = 0x30,
	CONTEXT_MXCSR = 0x34,
	CONTEXT_FXSAVE = 0x100,
	FXSAVE_SIZE = 512,
	FXSAVE_MXCSR = 24,
	PRSTATUS_SIZE = 336,            /* of NT_PRSTATUS on x86-64             */
	PRSTATUS_PID = 32,
	CONTEXT_AMD64 = 0x100000,       /* flags: with these below              */
	CONTEXT_CONTROL = 1,
	CONTEXT_INTEGER = 2,
	CONTEXT_SEGMENTS = 4,
	CONTEXT_FLOATING = 8,
};

enum win_dump_type {
	WIN_FULL = 1,
	WIN_KERNEL_OLD = 2,             /* as the bitmap types                  */
	WIN_TRIAGE = 4,                 /* "minidump": without memory           */
	WIN_BITMAP_FULL = 5,
	WIN_BITMAP_KERNEL = 6,
	WIN_BITMAP_AUTOMATIC = 7,
};

struct win_run {
	uint64_t pfn, num;
};

struct win_header {
	uint64_t cr3, kdbg, num_pages;
	uint32_t machine, num_cpus, bugcheck, type, num_runs;
	struct win_run runs[WIN_MAX_RUNS];      /* num_runs of them, if that fits */
};

bool win_is_header(const unsigned char *head, size_t len);
void win_get_header(const unsigned char *buf, struct win_header *ret);
/* Whether the runs are ascending, within the address space, and have the stated number of
 * pages.
 */
bool win_runs_make_sense(const struct win_header *h);

/* The kernel's memory by virtual address. */
struct win_kernel {
	struct paging paging;
	struct walker walker;
	uint64_t kdbg;
};

/* Set up @k for memory of @s; false: KDBG is neither where the header says nor where the driver
 * puts it.  win_kernel_deinit() is due in either case.
 */
bool win_kernel_init(struct win_kernel *k, struct source *s, const unsigned char *header);
void win_kernel_deinit(struct win_kernel *k);
/* @n bytes as a number; false: they are not mapped. */
bool win_get(struct win_kernel *k, uint64_t vaddr, unsigned int n, uint64_t *ret);
/* The runs of memory that the kernel itself has a list of, as those of a header; false: there is no
 * such list.
 */
bool win_kernel_runs(struct win_kernel *k, struct win_header *ret);
/* Where CPU @cpu's CONTEXT is. */
bool win_context_at(struct win_kernel *k, uint32_t cpu, uint64_t *ret);

/* Registers from a CONTEXT to an NT_PRSTATUS descriptor, which is all zero before;
 * and back, with the FXSAVE image if there is one.
 */
void win_context_to_prstatus(const unsigned char *context, unsigned char *prstatus);
void win_context_make(unsigned char *context, const unsigned char *prstatus,
		      const unsigned char *fxsave);

struct gdump_error *win_dmp_create(const struct write_spec *spec, struct writer **ret);
struct gdump_error *win_dmp_check(struct source *s, const struct gdump_plan *plan);
