/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * tinyvmm.c - a complete VMM that dumps its own guest, on x86-64 with KVM
 *
 *     tinyvmm PANIC-FILE
 *
 * The guest has two CPUs in real mode, which count in memory forever.  Commands come from
 * standard input, one per line:
 *
 *     dump FILE    pause the guest, dump it, and resume it
 *     live FILE    dump it while it keeps running, in a job
 *     wait         wait for that job
 *     panic        make the guest panic, dump it to PANIC-FILE, and exit
 *
 * A FILE with .elf in its name is an ELF core, any other one is in the kdump format.
 *
 * Build: cc tinyvmm.c -o tinyvmm -pthread $(pkg-config --cflags --libs guestdump)
 */
#include <errno.h>
#include <fcntl.h>
#include <guestdump.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	NUM_CPUS = 2, MEMORY_SIZE = 4 << 20,
	CODE = 0x1000, PANIC_FLAG = 0xff0, COUNTERS = 0x2000,   /* in the guest */
	PANIC_PORT = 0xf4,
};

struct cpu {
	pthread_t thread;
	struct kvm_run *run;
	bool parked;                    /* out of KVM_RUN, and stays there      */
};

static struct {
	int kvm, fd, cpu_fds[NUM_CPUS];
	unsigned char *memory;
	struct cpu cpus[NUM_CPUS];
	pthread_mutex_t lock;           /* guards stops, and parked of each CPU */
	pthread_cond_t change;
	unsigned int stops;             /* reasons to keep the CPUs out         */
	atomic_bool panicked;
	struct gdump *job_guest;        /* what the job works on; NULL: no job  */
	struct gdump_job *job;
} vmm = { .lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER };

static int must(int rc, const char *what)
{
	if (rc >= 0)
		return rc;
	perror(what);
	exit(1);
}

/* Its CPUs ------------------------------------------------------------------ */

static _Thread_local struct kvm_run *own_run;

/* A signal just before KVM_RUN would not interrupt it: ask KVM to return at once. */
static void on_kick(int sig)
{
	(void)sig;
	if (own_run)
		own_run->immediate_exit = 1;
}

static void wait_while_stopped(struct cpu *cpu)
{
	pthread_mutex_lock(&vmm.lock);
	cpu->parked = true;
	pthread_cond_broadcast(&vmm.change);
	while (vmm.stops || vmm.panicked)
		pthread_cond_wait(&vmm.change, &vmm.lock);
	cpu->parked = false;
	cpu->run->immediate_exit = 0;
	pthread_mutex_unlock(&vmm.lock);
}

static void *run_cpu(void *arg)
{
	struct cpu *cpu = arg;

	own_run = cpu->run;
	for (;;) {
		wait_while_stopped(cpu);
		if (!ioctl(vmm.cpu_fds[cpu - vmm.cpus], KVM_RUN, 0))
			vmm.panicked = true;    /* the only port that the guest writes to */
		else if (errno != EINTR)
			must(-1, "KVM_RUN");
	}
	return NULL;
}

/* The library calls this to pause the guest, ... */
static int pause_guest(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&vmm.lock);
	vmm.stops++;
	for (int i = 0; i < NUM_CPUS; i++) {
		if (!vmm.cpus[i].parked)
			pthread_kill(vmm.cpus[i].thread, SIGUSR1);
		while (!vmm.cpus[i].parked)
			pthread_cond_wait(&vmm.change, &vmm.lock);
	}
	pthread_mutex_unlock(&vmm.lock);
	return 0;
}

/* ... and this to resume it. */
static int resume_guest(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&vmm.lock);
	vmm.stops--;
	pthread_cond_broadcast(&vmm.change);
	pthread_mutex_unlock(&vmm.lock);
	return 0;
}

/* Dumping it ---------------------------------------------------------------- */

static struct gdump_error *open_guest(bool pause, struct gdump **ret)
{
	const struct gdump_slot slot = { .paddr = 0, .size = MEMORY_SIZE, .host = vmm.memory };
	const struct gdump_guest guest = {
		.size = sizeof(guest), .name = "tinyvmm", .slots = &slot, .num_slots = 1,
		.num_cpus = NUM_CPUS, .vcpu_fds = vmm.cpu_fds,
		.pause = pause_guest, .resume = resume_guest,
	};
	const struct gdump_open_options options = { .size = sizeof(options),
						    .pause_guest = pause };

	return gdump_open_guest(&guest, &options, ret);
}

static struct gdump_write_options write_options(const char *file)
{
	return (struct gdump_write_options){
		.size = sizeof(struct gdump_write_options), .resume_guest = true,
		.format = strstr(file, ".elf") ? "elf" : "kdump",
	};
}

static void report(const char *what, struct gdump_error *err)
{
	fprintf(stderr, "%s: %s\n", what, err ? gdump_error_message(err) : "done");
	gdump_error_destroy(err);
}

/* What the dump has to contain */
static void print_guest(void)
{
	const uint32_t *counters = (const uint32_t *)(vmm.memory + COUNTERS);
	struct kvm_regs regs;

	for (int i = 0; i < NUM_CPUS; i++) {
		must(ioctl(vmm.cpu_fds[i], KVM_GET_REGS, &regs), "KVM_GET_REGS");
		fprintf(stderr, "CPU %d: rip %016llx, has counted to %08x\n", i, regs.rip,
			counters[i]);
	}
}

/* Dump the paused guest; gdump_write() resumes it when it has read the last page. */
static void dump(const char *file)
{
	const struct gdump_write_options options = write_options(file);
	struct gdump *guest = NULL;
	struct gdump_error *err = open_guest(true, &guest);

	if (!err) {
		print_guest();
		err = gdump_write(guest, NULL, file, &options);
	}
	gdump_close(guest);             /* resumes it if it is still paused     */
	report(file, err);
}

static void end_job(void)
{
	if (vmm.job)
		report("live", gdump_job_wait(vmm.job));
	gdump_close(vmm.job_guest);
	vmm.job = NULL;
	vmm.job_guest = NULL;
}

/* The guest is paused only while its registers are read. */
static void start_job(const char *file)
{
	const struct gdump_write_options options = write_options(file);
	const struct gdump_job_options job = { .size = sizeof(job), .path = file,
					       .write = &options };
	struct gdump_error *err;

	end_job();                      /* one at a time */
	err = open_guest(false, &vmm.job_guest);
	if (!err)
		err = gdump_job_start(vmm.job_guest, &job, &vmm.job);
	if (err)
		report(file, err);
}

static void *dump_when_panicked(void *file)
{
	pthread_mutex_lock(&vmm.lock);
	while (!vmm.panicked)
		pthread_cond_wait(&vmm.change, &vmm.lock);
	pthread_mutex_unlock(&vmm.lock);
	dump(file);
	_exit(0);
}

static void *map(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

	must(p == MAP_FAILED ? -1 : 0, "mmap");
	return p;
}

static void start_cpu(unsigned int i)
{
	const int fd = must(ioctl(vmm.fd, KVM_CREATE_VCPU, i), "KVM_CREATE_VCPU");
	const struct kvm_regs regs = { .rip = CODE, .rbx = COUNTERS + 4 * i, .rflags = 2 };
	struct kvm_sregs sregs;

	must(ioctl(fd, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs.base = sregs.cs.selector = 0;
	must(ioctl(fd, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	must(ioctl(fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
	vmm.cpu_fds[i] = fd;
	vmm.cpus[i].run = map(fd, (size_t)must(ioctl(vmm.kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM"));
	must(-pthread_create(&vmm.cpus[i].thread, NULL, run_cpu, &vmm.cpus[i]), "a thread");
}

static void start_guest(void)
{
	static const unsigned char code[] = {
		0x66, 0xff, 0x07,                                  /* incl (bx)           */
		0x80, 0x3e, PANIC_FLAG & 0xff, PANIC_FLAG >> 8, 0, /* cmpb $0, PANIC_FLAG */
		0x74, 0xf6,                                        /* je   the first      */
		0xe6, PANIC_PORT,                                  /* outb al, PANIC_PORT */
	};
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY_SIZE };

	vmm.kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	vmm.fd = must(ioctl(vmm.kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	vmm.memory = map(-1, MEMORY_SIZE);
	memcpy(vmm.memory + CODE, code, sizeof(code));
	region.userspace_addr = (uintptr_t)vmm.memory;
	must(ioctl(vmm.fd, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	for (unsigned int i = 0; i < NUM_CPUS; i++)
		start_cpu(i);
}

int main(int argc, char **argv)
{
	const struct sigaction kick = { .sa_handler = on_kick };
	char line[4096], word[16], file[4096];
	pthread_t thread;

	if (argc != 2) {
		fprintf(stderr, "usage: tinyvmm PANIC-FILE\n");
		return 2;
	}
	sigaction(SIGUSR1, &kick, NULL);
	start_guest();
	must(-pthread_create(&thread, NULL, dump_when_panicked, argv[1]), "a thread");
	while (fgets(line, sizeof(line), stdin)) {
		word[0] = file[0] = '\0';
		sscanf(line, "%15s %4095s", word, file);
		if (!strcmp(word, "dump"))
			dump(file);
		else if (!strcmp(word, "live"))
			start_job(file);
		else if (!strcmp(word, "wait"))
			end_job();
		else if (!strcmp(word, "panic")) {
			__atomic_store_n(vmm.memory + PANIC_FLAG, 1, __ATOMIC_RELEASE);
			pthread_join(thread, NULL);     /* ends this process */
		}
	}
	end_job();
	return 0;
}
