/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kernel.h - reading a Linux kernel in the memory of a guest
 *
 * Everything in kernel/ is found in the guest's memory; no vmlinux is needed.  Each header
 * has one job, and each lets the kernel's version alone: facts come from VMCOREINFO, from
 * kallsyms and from BTF, since distributions move changes between versions.
 *
 *     find_vmcoreinfo.h   find VMCOREINFO, where the source does not have it
 *     uts.h               what uname prints
 *     filter.h            omit pages from a plan; it is made of
 *         memmap.h            where the struct pages are
 *         classify.h          what a struct page says about its page
 *         zones.h             how many pages are free
 *     page_survey.h       what pages are used for, by memmap.h and classify.h
 *     mappings.h          everything that the page tables map
 *     printk.h            the log
 *     kernel.h            (this) variables and structs by name, made of
 *         kallsyms.h          symbols, in a
 *         symtab.h            table of symbols
 *     ksymtab.h           variables that are exported, where kallsyms has none
 *         btf.h               offsets of members
 *     state.h, tasks.h    uptime and panic; tasks: by kernel.h
 *     modules.h           modules and their symbols
 *     kernel_text.h       which function is at an address
 *     list_walk.h         the rings of list_head
 *     mount_path.h        the paths of files and mounts
 *
 * A kernel may lack symbols of variables, or BTF.  Each function below says so, and the
 * caller uses what else there is.  A struct kernel is for one thread at a time.
 */
#pragma once

#include "btf.h"
#include "symtab.h"

struct kernel {
	struct source *source;
	struct paging paging;
	struct walker walker;
	struct btf btf;                 /* num 0: there is none                 */
	struct symtab symbols;          /* num 0: there are none                */
};

/* GDUMP_ERR_UNSUPPORTED: the page tables were not found.  A kernel without symbols or types
 * can be opened.  @s must stay open until kernel_close().
 */
MUST_CHECK struct gdump_error *kernel_open(struct source *s, struct kernel *ret);
void kernel_close(struct kernel *k);
/* The same kernel is now read from @s. */
void kernel_move(struct kernel *k, struct source *s);

/* The address of a symbol; 0: unknown. */
uint64_t kernel_symbol(const struct kernel *k, const char *name);

/* Read an integer of 1 to 8 bytes; false: it cannot be read. */
bool kernel_uint(struct kernel *k, uint64_t vaddr, uint32_t size, uint64_t *ret);
/* Read an unsigned long. */
bool kernel_word(struct kernel *k, uint64_t vaddr, uint64_t *ret);
/* The integer of @size bytes at @p, in the guest's byte order. */
uint64_t kernel_get(const struct kernel *k, const unsigned char *p, uint32_t size);
/* Read @member, an integer or a pointer, of struct @name at @vaddr. */
bool kernel_member(struct kernel *k, uint64_t vaddr, const char *name, const char *member,
		   uint64_t *ret);
/* Read a string of at most @size - 1 bytes, and end it with a NUL; false: not all of them can be
 * read.  It may contain anything.
 */
bool kernel_string(struct kernel *k, uint64_t vaddr, char *ret, size_t size);
/* The address of a CPU's copy of a per-CPU variable; false: unknown. */
bool kernel_percpu(struct kernel *k, const char *symbol, unsigned int cpu, uint64_t *ret);
/* One more than the highest number of a CPU; 0: unknown. */
unsigned int kernel_max_cpus(struct kernel *k);
/* The CPU that panicked; false: none, or it is unknown. */
bool kernel_panic_cpu(struct kernel *k, int32_t *ret);
/* Whether the kernel uses a CPU.  A panic stops all others, which still count. */
bool kernel_uses_cpu(struct kernel *k, unsigned int cpu);

/* Call @fn for pieces of the kernel's image from _stext on, which overlap, until it returns
 * true.  @p holds [vaddr, vaddr + len), and is valid during the call.
 */
typedef bool kernel_scan_fn(struct kernel *k, void *arg, uint64_t vaddr, const unsigned char *p,
			    size_t len);
void kernel_scan(struct kernel *k, kernel_scan_fn *fn, void *arg);
