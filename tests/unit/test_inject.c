/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_inject.c - a process that makes a system call for us notices nothing, even if we are killed at
 * any instruction of it
 */
#include "check.h"

#include "../../lib/live/freezer.h"
#include "../../lib/live/inject.h"
#include "../../lib/live/remote_uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/userfaultfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KILLS = 300, ANSWER_MS = 20000, FPU_ROUND_UP = 0x5f80 };

#ifdef __x86_64__
static unsigned int fpu_control(void)
{
	return __builtin_ia32_stmxcsr() & 0xffc0;
}

static void set_fpu_control(unsigned int value)
{
	__builtin_ia32_ldmxcsr(value);
}
#else
static unsigned int fpu_control(void)
{
	return FPU_ROUND_UP;
}

static void set_fpu_control(unsigned int value)
{
	(void)value;
}
#endif

/* A process that answers each byte, as long as it finds itself as it was */
struct victim {
	pid_t pid;
	int to, from;
	bool timed;                     /* it waits with a limit of time        */
};

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

static bool is_as_it_was(const sigset_t *mask)
{
	sigset_t now = { 0 };
	stack_t stack;

	return !sigprocmask(SIG_BLOCK, NULL, &now) && !memcmp(&now, mask, sizeof(now)) &&
	       fpu_control() == FPU_ROUND_UP && !sigaltstack(NULL, &stack) && stack.ss_size == 65536 &&
	       alarms;
}

static ssize_t await_byte(int fd, char *byte, bool timed)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int rc = 1;

	while (timed && (rc = poll(&p, 1, 3600000)) != 1) {
		if (rc < 0 && errno != EINTR)
			return -1;
	}
	return read(fd, byte, 1);
}

/* Also with a signal that comes again and again */
static void run_victim(int in, int out, bool timed)
{
	const struct itimerval every = { { 0, 700 }, { 0, 700 } };
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART | SA_ONSTACK };
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 };
	sigset_t mask = { 0 };
	char byte;

	sigaltstack(&stack, NULL);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigaddset(&mask, SIGWINCH);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	set_fpu_control(FPU_ROUND_UP);
	while (!alarms)
		pause();
	while (await_byte(in, &byte, timed) == 1) {
		byte = is_as_it_was(&mask) ? '+' : '-';
		if (write(out, &byte, 1) != 1)
			break;
	}
	_exit(1);
}

static struct victim start_victim(bool timed)
{
	int to[2], from[2];
	struct victim v = { .timed = timed };

	if (pipe(to) || pipe(from))
		exit(1);
	v.pid = fork();
	if (!v.pid)
		run_victim(to[0], from[1], timed);
	close(to[0]);
	close(from[1]);
	v.to = to[1];
	v.from = from[0];
	return v;
}

static bool answers(const struct victim *v)
{
	struct pollfd p = { .fd = v->from, .events = POLLIN };
	char byte = '?';

	return write(v->to, &byte, 1) == 1 && poll(&p, 1, ANSWER_MS) == 1 &&
	       read(v->from, &byte, 1) == 1 && byte == '+';
}

static void end_victim(struct victim *v)
{
	kill(v->pid, SIGKILL);
	CHECK_INT(waitpid(v->pid, NULL, 0), v->pid);
	close(v->to);
	close(v->from);
}

static struct gdump_error *call_getpid(const struct frozen *f, void *arg)
{
	struct inject_call call = { .number = SYS_getpid };
	struct gdump_error *err = inject_run(f->tids[0], &call);

	*(int64_t *)arg = call.result;
	return err;
}

/* Stop it where it waits in a system call; now and then it is stopped in its handler of signals. */
static struct freezer *stop_in_call(const struct victim *v)
{
	struct freezer *f = NULL;
	int64_t pid;

	for (int i = 0; i < 1000; i++) {
		struct gdump_error *err;

		CHECK_OK(freezer_open(v->pid, &f));
		err = f ? freezer_call(f, call_getpid, &pid) : NULL;
		if (!err)
			return f;
		gdump_error_destroy(err);
		freezer_close(f);
	}
	CHECK(false);                   /* it is never stopped in a system call */
	return NULL;
}

static void test_call(void)
{
	struct victim v = start_victim(false);
	int64_t pid = 0;

	CHECK(answers(&v));
	for (int i = 0; i < 20; i++) {
		struct freezer *f = stop_in_call(&v);

		if (!f)
			break;
		for (int k = 0; k < 5; k++) {
			CHECK_OK(freezer_call(f, call_getpid, &pid));
			CHECK_INT(pid, v.pid);
		}
		freezer_close(f);
		CHECK(answers(&v));
	}
	end_victim(&v);
}

/* Makes calls until it is killed. */
static void run_caller(pid_t pid)
{
	struct freezer *f = NULL;
	int64_t result;

	for (;;) {
		if (freezer_open(pid, &f))
			_exit(1);
		for (int i = 0; i < 50; i++)
			gdump_error_destroy(freezer_call(f, call_getpid, &result));
		freezer_close(f);
	}
}

static void test_killed(bool timed)
{
	struct victim v = start_victim(timed);

	CHECK(answers(&v));
	for (int i = 0; i < KILLS; i++) {
		pid_t caller = fork();

		if (!caller)
			run_caller(v.pid);
		nanosleep(&(struct timespec){ .tv_nsec = 500000 + rand() % 3000000 }, NULL);
		CHECK_INT(waitpid(caller, NULL, WNOHANG), 0);
		kill(caller, SIGKILL);
		waitpid(caller, NULL, 0);
		if (!CHECK(answers(&v)))
			break;
	}
	end_victim(&v);
}

static void test_uffd(void)
{
	struct victim v = start_victim(false);
	struct uffdio_api api = { .api = UFFD_API };
	struct freezer *f;
	int fd = -1;

	CHECK(answers(&v));
	f = stop_in_call(&v);
	if (f)
		CHECK_OK(freezer_call(f, remote_uffd_create, &fd));
	freezer_close(f);
	CHECK(fd >= 0 && !ioctl(fd, UFFDIO_API, &api));
	close(fd);
	CHECK(answers(&v));
	end_victim(&v);
}

/* A filter of system calls: nothing is tried. */
static void test_sandboxed(void)
{
	struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	const struct sock_fprog program = { 1, &code };
	struct freezer *f = NULL;
	pid_t pid = fork();
	int fd;

	if (!pid) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
		raise(SIGSTOP);
		for (;;)
			pause();
	}
	CHECK_INT(waitpid(pid, NULL, WUNTRACED), pid);
	kill(pid, SIGCONT);
	CHECK_OK(freezer_open(pid, &f));
	if (f)
		CHECK_ERR(freezer_call(f, remote_uffd_create, &fd), GDUMP_ERR_REMOTE, "in a sandbox (seccomp)");
	freezer_close(f);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Between two system calls, registers are in use that are not put back after a kill. */
static void test_busy(void)
{
	volatile unsigned long *count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE,
					     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct freezer *f = NULL;
	pid_t pid = fork();
	int64_t result;

	if (!pid) {
		for (;;)
			++*count;
	}
	while (*count < 1000)
		usleep(1000);
	CHECK_OK(freezer_open(pid, &f));
	if (f)
		CHECK_ERR(freezer_call(f, call_getpid, &result), GDUMP_ERR_UNSUPPORTED, "is in no system call");
	freezer_close(f);
	CHECK_INT(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(void)
{
#ifndef __x86_64__
	puts("SKIP: no calls in other processes on this machine");
	return 77;
#endif
	if (geteuid()) {
		puts("SKIP: needs root");
		return 77;
	}
	test_call();
	test_killed(false);
	test_killed(true);
	test_uffd();
	test_sandboxed();
	test_busy();
	return check_done();
}
