/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * process.h - one process of a Linux guest: its mappings, threads and registers
 *
 *     process.c           finds it; its memory
 *     process_maps.c      what it has mapped
 *     process_threads.c   its threads
 *     process_core.c      writes all of that as an ELF core
 *
 * 64-bit processes on x86-64 and AArch64.  Everything is from the guest's memory, and may contain
 * anything.
 */
#pragma once

#include "../kernel/kernel.h"
#include "../sink/sink.h"

enum { PROCESS_REGS = 34, PROCESS_AUXV = 1024, PROCESS_ARGS = 80 };

/* A row for each architecture */
struct process_arch {
	uint16_t machine;               /* ELF e_machine                        */
	uint8_t num_regs;               /* in NT_PRSTATUS, each of 8 bytes      */
	uint8_t num_saved;              /* of these, the first ones on the kernel's stack */
	uint8_t mode_reg;               /* the one that says which mode it is:  */
	uint64_t mode_mask, user_mode;
	/* Fill the registers that are not on the stack. */
	void (*complete)(struct kernel *k, uint64_t task, uint64_t *regs);
};

struct process_map {
	uint64_t start, end;
	uint64_t flags;                 /* the kernel's VM_*                    */
	uint64_t offset;                /* in the file, in bytes                */
	char *path;                     /* of the file; NULL: it has none       */
};

struct process_thread {
	int32_t pid;
	char state;
	bool has_regs;
	uint64_t regs[PROCESS_REGS];    /* as in NT_PRSTATUS                    */
};

struct process {
	struct kernel *kernel;
	const struct process_arch *arch;
	int32_t pid;
	char name[64], args[PROCESS_ARGS];
	uint64_t leader, mm;            /* vaddr of its structs                 */
	struct paging paging;
	struct walker walker;           /* of its user space                    */
	struct process_map *maps;       /* ascending                            */
	size_t num_maps;
	struct process_thread *threads;         /* the leader first             */
	size_t num_threads;
	unsigned char auxv[PROCESS_AUXV];
	size_t auxv_len;
};

/* Find process @pid.  GDUMP_ERR_USAGE: there is none, or it has no user space. @k stays open until
 * process_close(), which is due also after an error.
 */
MUST_CHECK struct gdump_error *process_open(struct kernel *k, int32_t pid, struct process *ret);
void process_close(struct process *p);
/* Write it.  Nothing is finished or closed. */
MUST_CHECK struct gdump_error *process_core_write(struct process *p, struct sink *sink,
						  struct gdump_process *result, uint64_t *size);

/* The steps of process_open() */
MUST_CHECK struct gdump_error *process_read_maps(struct process *p);
MUST_CHECK struct gdump_error *process_read_threads(struct process *p);
