/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kernel.h - the variables and structs of a guest's kernel, by name
 *
 * Out of its own memory, with no vmlinux.  What a kernel lacks (symbols of variables,
 * BTF) is told by each function, so its users take the next best.
 */
#pragma once

#include "btf.h"

enum kernel_symbol {
	KSYM_START_BTF, KSYM_STOP_BTF, KSYM_INIT_TASK, KSYM_RUNQUEUES, KSYM_PER_CPU_OFFSET,
	KSYM_NR_CPU_IDS, KSYM_CPU_ONLINE_MASK, KSYM_PANIC_CPU, KSYM_TK_CORE, KSYM_TIMEKEEPER_DATA,
	NUM_KSYMS,
};

struct kernel {
	struct source *source;
	struct paging paging;
	struct walker walker;
	struct btf btf;                 /* num 0: there is none                 */
	uint64_t symbols[NUM_KSYMS];    /* 0: not known                         */
};

/* GDUMP_ERR_UNSUPPORTED where its memory cannot be followed at all.  A kernel without
 * symbols or types opens.
 */
MUST_CHECK struct gdump_error *kernel_open(struct source *s, struct kernel *ret);
void kernel_close(struct kernel *k);

/* An integer of 1 to 8 bytes; false: it cannot be read. */
bool kernel_uint(struct kernel *k, uint64_t vaddr, uint32_t size, uint64_t *ret);
bool kernel_word(struct kernel *k, uint64_t vaddr, uint64_t *ret);
/* The same from bytes that were read. */
uint64_t kernel_get(const struct kernel *k, const unsigned char *p, uint32_t size);
/* A member of @name at @vaddr that is an integer or a pointer. */
bool kernel_member(struct kernel *k, uint64_t vaddr, const char *name, const char *member,
		   uint64_t *ret);
/* Where a CPU's own copy of a variable is; false: that is not known. */
bool kernel_percpu(struct kernel *k, enum kernel_symbol symbol, unsigned int cpu, uint64_t *ret);

/* Look at the image's memory from _stext on, in pieces that overlap, until @fn, which
 * is given [vaddr, vaddr + len), returns true.  All of it where @fn never does.
 */
typedef bool kernel_scan_fn(struct kernel *k, void *arg, uint64_t vaddr, const unsigned char *p,
			    size_t len);
void kernel_scan(struct kernel *k, kernel_scan_fn *fn, void *arg);
