/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "tiny.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Where the CPU of this thread is told to leave KVM_RUN at once */
static _Thread_local struct kvm_run *own_run;

static void on_kick(int sig)
{
	(void)sig;
	if (own_run)
		own_run->immediate_exit = 1;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int must(int rc, const char *what)
{
	if (rc < 0)
		fail(what);
	return rc;
}

/* Keep out of KVM_RUN as long as somebody wants that; false: for good. */
static bool cpu_may_run(struct tiny_cpu *c)
{
	struct tiny *t = c->vm;
	bool end;

	pthread_mutex_lock(&t->lock);
	while ((t->stops || c->halted) && !t->end) {
		c->parked = true;
		pthread_cond_broadcast(&t->change);
		pthread_cond_wait(&t->change, &t->lock);
	}
	c->parked = false;
	c->run->immediate_exit = 0;
	end = t->end;
	pthread_mutex_unlock(&t->lock);
	return !end;
}

static void cpu_exited(struct tiny_cpu *c)
{
	struct tiny *t = c->vm;

	pthread_mutex_lock(&t->lock);
	if (c->run->exit_reason == KVM_EXIT_IO && c->run->io.port == TINY_PORT)
		t->panicked = true;
	else
		c->halted = true;
	pthread_cond_broadcast(&t->change);
	pthread_mutex_unlock(&t->lock);
}

static void *cpu_main(void *arg)
{
	struct tiny_cpu *c = arg;

	own_run = c->run;
	while (cpu_may_run(c)) {
		if (!ioctl(c->fd, KVM_RUN, 0))
			cpu_exited(c);
		else if (errno != EINTR && errno != EAGAIN)
			fail("KVM_RUN");
	}
	return NULL;
}

static bool all_parked(const struct tiny *t)
{
	for (int i = 0; i < TINY_CPUS; i++) {
		if (t->cpus[i].started && !t->cpus[i].parked)
			return false;
	}
	return true;
}

int tiny_pause(void *arg)
{
	struct tiny *t = arg;
	struct timespec until;

	pthread_mutex_lock(&t->lock);
	t->stops++;
	while (!all_parked(t)) {
		for (int i = 0; i < TINY_CPUS; i++) {
			if (t->cpus[i].started && !t->cpus[i].parked)
				pthread_kill(t->cpus[i].thread, SIGUSR1);
		}
		/* the signal may have come just before KVM_RUN */
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 10000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&t->change, &t->lock, &until);
	}
	pthread_mutex_unlock(&t->lock);
	return 0;
}

int tiny_resume(void *arg)
{
	struct tiny *t = arg;

	pthread_mutex_lock(&t->lock);
	t->stops--;
	pthread_cond_broadcast(&t->change);
	pthread_mutex_unlock(&t->lock);
	return 0;
}

/* mov r12, imm64; mov r13, imm64; loop: inc qword [COUNTER]; jmp loop */
static void put_code(struct tiny *t)
{
	static const unsigned char loop[] = {
		0x48, 0xff, 0x04, 0x25, TINY_COUNTER & 0xff, TINY_COUNTER >> 8, 0, 0, 0xeb, 0xf6,
	};
	static const unsigned char real[] = {
		0xb8, 0x34, 0x12,               /* mov ax, 0x1234               */
		0xba, TINY_PORT, 0,             /* mov dx, port                 */
		0xee, 0xf4, 0xeb, 0xfd,         /* out dx, al; hlt; jmp         */
	};
	unsigned char *p = t->low + TINY_CODE;
	uint64_t imm = TINY_R12(t->number);

	memcpy(p, (unsigned char[]){ 0x49, 0xbc }, 2);
	memcpy(p + 2, &imm, 8);
	imm = ~imm;
	memcpy(p + 10, (unsigned char[]){ 0x49, 0xbd }, 2);
	memcpy(p + 12, &imm, 8);
	memcpy(p + 20, loop, sizeof(loop));
	memcpy(t->low + TINY_REAL_CODE, real, sizeof(real));
}

static void put_memory(struct tiny *t)
{
	/* page tables: the first GiB is where it is, in large pages */
	uint64_t *pml4 = (uint64_t *)(t->low + TINY_PML4), *pdpt = pml4 + 512, *pd = pdpt + 512;

	pml4[0] = (TINY_PML4 + 0x1000) | 3;
	pdpt[0] = (TINY_PML4 + 0x2000) | 3;
	for (uint64_t i = 0; i < 512; i++)
		pd[i] = i << 21 | 0x83;
	put_code(t);
	/* every other page of the second MiB has something in it */
	for (uint32_t i = 1 << 20; i < 2 << 20; i += 8192)
		for (uint32_t k = 0; k < 4096; k++)
			t->low[i + k] = (unsigned char)(i / 4096 + k * 7 + t->number);
	strcpy((char *)t->high + 12345, "high memory");
}

static void set_long_mode(int fd)
{
	struct kvm_segment code = { .limit = 0xffffffff, .selector = 8, .type = 11, .present = 1,
				    .s = 1, .l = 1, .g = 1 };
	struct kvm_segment data = { .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1,
				    .s = 1, .db = 1, .g = 1 };
	struct kvm_sregs s;

	must(ioctl(fd, KVM_GET_SREGS, &s), "KVM_GET_SREGS");
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.fs.base = TINY_FS_BASE;
	s.cr3 = TINY_PML4;
	s.cr4 = 1 << 5 | 1 << 9;        /* PAE, OSFXSR */
	s.cr0 = 0x80000031;             /* PG, NE, ET, PE */
	s.efer = 1 << 8 | 1 << 10;      /* LME, LMA */
	must(ioctl(fd, KVM_SET_SREGS, &s), "KVM_SET_SREGS");
}

static void set_real_mode(int fd)
{
	struct kvm_sregs s;

	must(ioctl(fd, KVM_GET_SREGS, &s), "KVM_GET_SREGS");
	s.cs.base = s.cs.selector = 0;
	must(ioctl(fd, KVM_SET_SREGS, &s), "KVM_SET_SREGS");
}

static void add_cpu(struct tiny *t, unsigned int i)
{
	struct tiny_cpu *c = &t->cpus[i];
	struct kvm_regs regs = { .rip = i ? TINY_REAL_CODE : TINY_CODE, .rflags = 2,
				 .rsp = 0x7000 };
	struct kvm_fpu fpu = { .fcw = 0x37f, .mxcsr = 0x1f80 };

	c->vm = t;
	c->fd = must(ioctl(t->fd, KVM_CREATE_VCPU, i), "KVM_CREATE_VCPU");
	c->run = mmap(NULL, t->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	if (c->run == MAP_FAILED)
		fail("mmap");
	(i ? set_real_mode : set_long_mode)(c->fd);
	must(ioctl(c->fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
	memset(fpu.xmm[3], 0x5a, sizeof(fpu.xmm[3]));
	must(ioctl(c->fd, KVM_SET_FPU, &fpu), "KVM_SET_FPU");
}

static unsigned char *add_memory(struct tiny *t, unsigned int slot, uint64_t paddr, size_t size)
{
	unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = {
		.slot = slot, .guest_phys_addr = paddr, .memory_size = size,
		.userspace_addr = (uintptr_t)p,
	};

	if (p == MAP_FAILED)
		fail("mmap");
	must(ioctl(t->fd, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	return p;
}

struct tiny *tiny_start(struct tiny *t, unsigned int number)
{
	struct sigaction sa = { .sa_handler = on_kick };

	*t = (struct tiny){ .number = number };
	t->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	t->fd = t->kvm < 0 ? -1 : ioctl(t->kvm, KVM_CREATE_VM, 0);
	if (t->fd < 0)
		return NULL;
	sigaction(SIGUSR1, &sa, NULL);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->change, NULL);
	t->run_size = (size_t)must(ioctl(t->kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "mmap size");
	t->low = add_memory(t, 0, 0, TINY_LOW_SIZE);
	t->high = add_memory(t, 1, TINY_HIGH_PADDR, TINY_HIGH_SIZE);
	put_memory(t);
	for (unsigned int i = 0; i < TINY_CPUS; i++)
		add_cpu(t, i);
	for (unsigned int i = 0; i < TINY_CPUS; i++) {
		must(-pthread_create(&t->cpus[i].thread, NULL, cpu_main, &t->cpus[i]), "thread");
		pthread_mutex_lock(&t->lock);
		t->cpus[i].started = true;
		pthread_mutex_unlock(&t->lock);
	}
	return t;
}

void tiny_end(struct tiny *t)
{
	tiny_pause(t);
	pthread_mutex_lock(&t->lock);
	t->end = true;
	pthread_cond_broadcast(&t->change);
	pthread_mutex_unlock(&t->lock);
	for (int i = 0; i < TINY_CPUS; i++) {
		pthread_join(t->cpus[i].thread, NULL);
		munmap(t->cpus[i].run, t->run_size);
		close(t->cpus[i].fd);
	}
	munmap(t->low, TINY_LOW_SIZE);
	munmap(t->high, TINY_HIGH_SIZE);
	close(t->fd);
	close(t->kvm);
	pthread_cond_destroy(&t->change);
	pthread_mutex_destroy(&t->lock);
}

uint64_t tiny_count(const struct tiny *t)
{
	return __atomic_load_n((const uint64_t *)(t->low + TINY_COUNTER), __ATOMIC_RELAXED);
}

bool tiny_counts(const struct tiny *t, uint64_t from)
{
	for (int i = 0; i < 2000; i++) {
		if (tiny_count(t) != from)
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

void tiny_wait_panic(struct tiny *t)
{
	pthread_mutex_lock(&t->lock);
	while (!t->panicked)
		pthread_cond_wait(&t->change, &t->lock);
	pthread_mutex_unlock(&t->lock);
}
