/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_pid.c - a guest of another process, which does not help: memory and registers are those of
 * KVM, and whatever happens to the one who looks, the VMM goes on
 *
 * Where KVM's memory slots cannot be read, the ranges are given instead.
 */
#include "../unit/check.h"
#include "tiny.h"

#include <errno.h>
#include <poll.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOST_SIGHT_MS = 20000 };

static char where[32];
static pid_t vmm;
static bool slots_known;                /* to the host's kernel                 */
static struct gdump_extent ranges[2];

/* Like Firecracker's threads: any other system call is a signal that ends the process. */
static void jail(void)
{
	static const int calls[] = {
		SYS_ioctl, SYS_futex, SYS_rt_sigreturn, SYS_pause, SYS_restart_syscall, SYS_write,
		SYS_exit, SYS_exit_group,
	};
	enum { NUM = sizeof(calls) / sizeof(*calls) };
	struct sock_filter code[2 * NUM + 2] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	const struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	for (int i = 0; i < NUM; i++) {
		code[1 + 2 * i] = (struct sock_filter)
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)calls[i], 0, 1);
		code[2 + 2 * i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	code[1 + 2 * NUM] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program))
		_exit(1);
}

/* In a process of its own: a VMM with a guest, which tells where the memory is */
static void run_vmm(bool jailed, int ready)
{
	static struct tiny t;
	struct gdump_extent own[2];

	if (!tiny_start(&t, 0) || !tiny_counts(&t, 0))
		_exit(1);
	/* CPU 1 has halted: its thread made other calls when it started */
	pthread_mutex_lock(&t.lock);
	while (!t.cpus[1].halted)
		pthread_cond_wait(&t.change, &t.lock);
	pthread_mutex_unlock(&t.lock);
	/* CPU 1 has run, too: a thread that starts makes other calls */
	tiny_wait_panic(&t);
	own[0] = (struct gdump_extent){ 0, TINY_LOW_SIZE, (uintptr_t)t.low };
	own[1] = (struct gdump_extent){ TINY_HIGH_PADDR, TINY_HIGH_SIZE, (uintptr_t)t.high };
	if (jailed)
		jail();
	if (write(ready, own, sizeof(own)) != sizeof(own))
		_exit(1);
	for (;;)
		pause();
}

static void start_vmm(bool jailed)
{
	int ready[2];

	if (pipe(ready))
		exit(1);
	vmm = fork();
	if (!vmm)
		run_vmm(jailed, ready[1]);
	close(ready[1]);
	if (vmm < 0 || read(ready[0], ranges, sizeof(ranges)) != sizeof(ranges))
		exit(1);
	close(ready[0]);
	snprintf(where, sizeof(where), "pid:%d", (int)vmm);
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static struct gdump *open_vmm(bool pause_guest)
{
	const struct gdump_metadata metadata = { .size = sizeof(metadata) };
	const struct gdump_open_options opt = { .size = sizeof(opt), .pause_guest = pause_guest,
						.metadata = &metadata,
						.extents = ranges,
						.num_extents = slots_known ? 0 : 2 };
	struct gdump *g = NULL;

	CHECK_OK(gdump_open(where, &opt, &g));
	if (!g)
		exit(check_done());
	return g;
}

static uint64_t count_of(struct gdump *g)
{
	uint64_t n = 0;

	CHECK_OK(gdump_read(g, TINY_COUNTER, &n, sizeof(n)));
	return n;
}

/* Whether the guest's CPU 0 counts on: it runs. */
static bool counts(struct gdump *g)
{
	const uint64_t from = count_of(g);

	for (int ms = 0; ms < LOST_SIGHT_MS; ms += 10) {
		if (count_of(g) != from)
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

static bool runs(void)
{
	struct gdump *g = open_vmm(false);
	const bool ret = counts(g);

	gdump_close(g);
	return ret;
}

static uint64_t reg(const struct gdump *g, size_t cpu, const char *set, const char *name)
{
	struct gdump_register r;

	for (size_t i = 0; gdump_register_at(g, cpu, i, &r); i++) {
		if (!strcmp(r.name, name) && !strcmp(r.set, set))
			return r.value;
	}
	CHECK_STR(name, "a register");
	return 0;
}

/* CPU 1 has halted: its thread is in the VMM, and so KVM stores nothing. */
static void check_registers(const struct gdump *g)
{
	const uint64_t rip = reg(g, 0, "general", "rip");

	CHECK_INT(gdump_info(g)->num_cpus, TINY_CPUS);
	CHECK_INT(gdump_info(g)->num_lost_cpus, 1);
	CHECK_INT(reg(g, 0, "general", "r12"), TINY_R12(0));
	CHECK_INT(reg(g, 0, "general", "r13"), ~TINY_R12(0));
	CHECK_INT(reg(g, 0, "general", "fs_base"), TINY_FS_BASE);
	CHECK_INT(reg(g, 0, "control", "cr3"), TINY_PML4);
	CHECK_INT(reg(g, 0, "control", "cs_sel"), 8);
	CHECK(rip == TINY_CODE + 20 || rip == TINY_CODE + 28);
	CHECK_INT(reg(g, 1, "general", "rip"), 0);
}

static void check_memory(struct gdump *g)
{
	const struct gdump_info *info = gdump_info(g);
	unsigned char page[4096];
	char text[12];
	size_t bad = 0;

	CHECK_INT(info->num_ranges, 2);
	CHECK_INT(info->ranges[0].start, 0);
	CHECK_INT(info->ranges[0].size, TINY_LOW_SIZE);
	CHECK_INT(info->ranges[1].start, TINY_HIGH_PADDR);
	CHECK_INT(info->ranges[1].size, TINY_HIGH_SIZE);
	for (uint32_t i = 1 << 20; i < 2 << 20; i += 8192) {
		CHECK_OK(gdump_read(g, i, page, sizeof(page)));
		for (uint32_t k = 0; k < sizeof(page); k++)
			bad += page[k] != (unsigned char)(i / 4096 + k * 7);
	}
	CHECK_INT(bad, 0);
	CHECK_OK(gdump_read(g, TINY_HIGH_PADDR + 12345, text, sizeof(text)));
	CHECK_STR(text, "high memory");
	CHECK_ERR(gdump_read(g, TINY_LOW_SIZE, page, sizeof(page)), GDUMP_ERR_NODATA, "0x400000");
}

static void test_running(void)
{
	struct gdump *g = open_vmm(false);

	CHECK(gdump_info(g)->is_guest && gdump_info(g)->was_running);
	if (CHECK(gdump_info(g)->metadata))
		CHECK(!strncmp(gdump_info(g)->metadata->vmm, program_invocation_short_name,
			       strlen(program_invocation_short_name)));
	check_registers(g);
	check_memory(g);
	CHECK(counts(g));
	gdump_close(g);
}

static void test_paused(void)
{
	struct gdump *g = open_vmm(true);
	const uint64_t count = count_of(g);

	check_registers(g);
	check_memory(g);
	poll(NULL, 0, 100);
	CHECK_INT(count_of(g), count);
	CHECK(gdump_paused_us(g) >= 100000);
	CHECK_OK(gdump_resume(g));
	CHECK(counts(g));
	gdump_close(g);
	CHECK(runs());
}

/* What was written has the guest's memory and registers of when its counter was @count. */
static void check_file(const char *path, uint64_t count)
{
	struct gdump *file = NULL;

	CHECK_OK(gdump_open(path, NULL, &file));
	if (file) {
		CHECK_INT(count_of(file), count);
		check_memory(file);
		CHECK_INT(reg(file, 0, "general", "r12"), TINY_R12(0));
	}
	gdump_close(file);
}

/* What is written is what the guest had while it was paused. */
static void test_write(void)
{
	char dir[] = "/tmp/gd-test-pid.XXXXXX", path[64];
	struct gdump_result result = { .size = sizeof(result) };
	const struct gdump_write_options opt = { .size = sizeof(opt), .resume_guest = true,
						 .result = &result };
	struct gdump *g = open_vmm(true);
	const uint64_t count = count_of(g);

	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/kdump", dir);
	CHECK_OK(gdump_write(g, NULL, path, &opt));
	CHECK_INT(result.lost_cpus, 0);
	gdump_result_deinit(&result);
	gdump_close(g);
	CHECK(runs());
	check_file(path, count);
	unlink(path);
	CHECK(!rmdir(dir));
}

static const struct gdump_open_options live_options = {
	.size = sizeof(live_options), .pause_guest = true, .live = GDUMP_LIVE_YES,
};

static struct gdump *open_live(void)
{
	struct gdump_open_options opt = live_options;
	struct gdump *g = NULL;

	opt.extents = ranges;
	opt.num_extents = slots_known ? 0 : 2;
	CHECK_OK(gdump_open(where, &opt, &g));
	if (!g)
		exit(check_done());
	return g;
}

/* The guest runs, and what is read and written is of the moment when it was opened. */
static void test_live(void)
{
	char dir[] = "/tmp/gd-test-pid.XXXXXX", path[64];
	struct gdump_result result = { .size = sizeof(result) };
	const struct gdump_write_options opt = { .size = sizeof(opt), .result = &result };
	struct gdump *g = open_live();
	const uint64_t count = count_of(g), paused_us = gdump_paused_us(g);

	CHECK(gdump_info(g)->live && paused_us);
	check_registers(g);
	CHECK(runs());
	CHECK_INT(count_of(g), count);
	check_memory(g);
	CHECK_INT(gdump_paused_us(g), paused_us);
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/kdump", dir);
	CHECK_OK(gdump_write(g, NULL, path, &opt));
	CHECK_INT(result.unreadable, 0);
	gdump_result_deinit(&result);
	/* the snapshot is over */
	CHECK(counts(g));
	CHECK_ERR(gdump_write(g, NULL, path, &opt), GDUMP_ERR_USAGE, "open it again");
	gdump_close(g);
	CHECK(runs());
	check_file(path, count);
	unlink(path);
	CHECK(!rmdir(dir));
	/* nobody wants it */
	g = open_live();
	CHECK(runs());
	gdump_close(g);
	CHECK(runs());
}

/* One who pauses the guest, or keeps a snapshot of it, is killed in the middle. */
static void test_killed(bool live)
{
	const int kills = getenv("GUESTDUMP_FULL") ? 50 : 10;

	for (int i = 0; i < kills; i++) {
		int ready[2];
		char byte;
		pid_t pid;

		CHECK(!pipe(ready));
		pid = fork();
		if (!pid) {
			if (live)
				open_live();
			else
				open_vmm(true);
			if (write(ready[1], "+", 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		close(ready[1]);
		if (i % 2)      /* it is about to pause, or has */
			poll(NULL, 0, 30 * (i % 10));
		else
			CHECK_INT(read(ready[0], &byte, 1), 1);
		close(ready[0]);
		end_process(pid);
		CHECK(runs());
	}
}

/* The one who started the VMM is not told that it stopped. */
static void test_unnoticed(void)
{
	struct gdump *g = open_vmm(true);
	int status;

	CHECK_INT(waitpid(vmm, &status, WNOHANG | WUNTRACED | WCONTINUED), 0);
	gdump_close(g);
	CHECK_INT(waitpid(vmm, &status, WNOHANG | WUNTRACED | WCONTINUED), 0);
}

/* A VMM that has ended, and whose parent does not know yet */
static void test_ended(void)
{
	const struct gdump_open_options opt = { .size = sizeof(opt), .pause_guest = true,
						.extents = ranges,
						.num_extents = slots_known ? 0 : 2 };
	struct gdump *g = NULL;

	kill(vmm, SIGKILL);
	CHECK(!waitid(P_PID, (id_t)vmm, &(siginfo_t){ 0 }, WEXITED | WNOWAIT));
	CHECK_ERR(gdump_open(where, &opt, &g), GDUMP_ERR_REMOTE, "has ended");
}

/* Nothing is done that a jail does not allow, and the VMM lives on. */
static void test_jailed(void)
{
	struct gdump_open_options opt = live_options;
	struct gdump *g = NULL;
	int status;

	end_process(vmm);
	start_vmm(true);
	test_paused();
	test_running();
	opt.extents = ranges;
	opt.num_extents = slots_known ? 0 : 2;
	CHECK_ERR(gdump_open(where, &opt, &g), GDUMP_ERR_REMOTE, "in a sandbox (seccomp)");
	CHECK(runs());
	CHECK_INT(waitpid(vmm, &status, WNOHANG), 0);
}

/* Only looked at: the threads do not stop, KVM is asked for nothing. */
static void test_looked_at(void)
{
	const struct gdump_open_options opt = { .size = sizeof(opt), .pause_guest = true,
						.look_only = true, .extents = ranges,
						.num_extents = slots_known ? 0 : 2 };
	struct gdump *g = NULL;

	CHECK_OK(gdump_open(where, &opt, &g));
	if (!g)
		return;
	CHECK(counts(g));
	CHECK_INT(gdump_info(g)->num_lost_cpus, TINY_CPUS);
	CHECK_INT(gdump_paused_us(g), 0);
	CHECK(strstr(gdump_info(g)->effects, "registers of 2 virtual CPUs (field kvm_valid_regs"));
	CHECK(strstr(gdump_info(g)->effects, " threads with ptrace(2)"));
	CHECK(strstr(gdump_info(g)->effects, "of its memory in 2 ranges"));
	gdump_close(g);
}

static void test_refused(void)
{
	const struct gdump_open_options paused = { .size = sizeof(paused), .pause_guest = true,
						   .extents = ranges,
						   .num_extents = slots_known ? 0 : 2 };
	const struct gdump_open_options unknown = { .size = sizeof(unknown) };
	const struct gdump_open_options slow = { .size = sizeof(slow), .no_direct = true };
	struct gdump *g = NULL;
	char self[32];

	snprintf(self, sizeof(self), "pid:%d", (int)getpid());
	CHECK_ERR(gdump_open(self, NULL, &g), GDUMP_ERR_NODATA, "no virtual machine of KVM");
	CHECK_ERR(gdump_open("pid:", NULL, &g), GDUMP_ERR_USAGE, "not the number of a process");
	CHECK_ERR(gdump_open("pid:12x", NULL, &g), GDUMP_ERR_USAGE, "not the number of a process");
	CHECK_ERR(gdump_open("pid:0", NULL, &g), GDUMP_ERR_USAGE, "not the number of a process");
	CHECK_ERR(gdump_open("pid:4194305", NULL, &g), GDUMP_ERR_OS, "");
	CHECK_ERR(gdump_open(where, &slow, &g), GDUMP_ERR_USAGE, "--no-direct");
	if (!slots_known)
		CHECK_ERR(gdump_open(where, &unknown, &g), GDUMP_ERR_NODATA,
			  "is unknown (--range says it): no Linux kernel");
	/* a debugger is there already */
	CHECK(!ptrace(PTRACE_SEIZE, vmm, NULL, NULL));
	CHECK_ERR(gdump_open(where, &paused, &g), GDUMP_ERR_OS, "is traced by process");
	CHECK(!ptrace(PTRACE_INTERRUPT, vmm, NULL, NULL));
	CHECK_INT(waitpid(vmm, NULL, __WALL), vmm);
	CHECK(!ptrace(PTRACE_DETACH, vmm, NULL, NULL));
	CHECK(runs());
}

int main(void)
{
	if (access("/dev/kvm", R_OK | W_OK) || geteuid()) {
		puts("SKIP: needs /dev/kvm and root");
		return 77;
	}
	slots_known = !access("/proc/kcore", R_OK) && !access("/sys/kernel/btf/vmlinux", R_OK);
	start_vmm(false);
	test_running();
	test_paused();
	test_write();
	test_unnoticed();
	test_killed(false);
	test_live();
	test_killed(true);
	test_refused();
	test_looked_at();
	test_jailed();
	test_ended();
	end_process(vmm);
	return check_done();
}
