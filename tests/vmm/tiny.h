/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * tiny.h - a small VMM for tests: a KVM guest with two CPUs
 *
 * CPU 0 counts at COUNTER for ever, in 64-bit mode; CPU 1 tells of a panic, in
 * real mode, and halts.  Memory is two slots, the second one above a hole.
 */
#pragma once

#include <guestdump.h>
#include <pthread.h>

struct kvm_run;
struct tiny;

enum {
	TINY_CPUS = 2,
	TINY_LOW_SIZE = 4 << 20, TINY_HIGH_SIZE = 2 << 20,
	TINY_COUNTER = 0x8000,          /* u64 that goes up                     */
	TINY_CODE = 0x1000, TINY_REAL_CODE = 0x6000,
	TINY_PML4 = 0x2000,
	TINY_PORT = 0xf4,               /* "I have panicked"                    */
};
#define TINY_HIGH_PADDR ((uint64_t)1 << 32)
/* what CPU 0 has in r12, r13 of guest number @n, and as base of fs */
#define TINY_R12(n) (0x1122334455667788 + (uint64_t)(n))
#define TINY_FS_BASE 0x00007f0012345000

struct tiny_cpu {
	struct tiny *vm;
	pthread_t thread;
	int fd;
	struct kvm_run *run;
	bool started, parked, halted;
};

struct tiny {
	unsigned int number;
	int kvm, fd;
	size_t run_size;
	unsigned char *low, *high;
	struct tiny_cpu cpus[TINY_CPUS];
	pthread_mutex_t lock;           /* guards the rest, parked and halted   */
	pthread_cond_t change;
	unsigned int stops;             /* reasons to keep the CPUs out         */
	bool end, panicked;
};

/* NULL: there is no KVM here, or the struct that is given.  Its CPUs run. */
struct tiny *tiny_start(struct tiny *t, unsigned int number);
void tiny_end(struct tiny *t);
/* Callbacks for struct gdump_guest */
int tiny_pause(void *arg);
int tiny_resume(void *arg);
uint64_t tiny_count(const struct tiny *t);
/* Wait until CPU 0 has counted on from @from; false: it does not within 20 s. */
bool tiny_counts(const struct tiny *t, uint64_t from);
void tiny_wait_panic(struct tiny *t);
