/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * inject_x86.c - a system call that another process makes for us, on x86-64
 *
 * Theory of operation.  The thread, which a stop has interrupted in a system call, gets registers
 * with which it executes instructions that its program has anyway: "syscall; ret", once.  We stop it
 * before it returns to its program, and put its registers back.
 *
 * We may be killed at any instruction of this, and then nobody puts anything back.  So what the
 * thread finds on its stack, when it executes "ret", is a frame of a signal with all that it had,
 * and the address of the C library's return from signal handlers, which restores that.  The order
 * of the steps is such that the thread always has either its own registers or such a frame.  The
 * bytes below its stack, where the frame is, are put back last: a signal may overwrite them at any
 * time, so the program does not count on them.
 *
 * A system call that is interrupted by a stop is restarted by the kernel on the way out of the stop,
 * according to the registers; the frame has the registers of after that.  A call that the kernel can
 * only continue with knowledge of its own ends with EINTR instead, as it may at any signal.
 *
 * Facts: ptrace(2), sigreturn(2), and the kernel's arch/x86/kernel/signal_64.c.
 */
#include "inject.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum {
	MAX_STOPS = 32,                 /* that are none of the call's          */
	RED_ZONE = 128,
	CHUNK = 64 << 10,               /* of the program, to search at once    */
	FLAG_SS = 2, FLAG_STRICT_SS = 4,        /* UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
	RESTART_SYS = 512, RESTART_NOINTR = 513, RESTART_NOHAND = 514, RESTART_BLOCK = 516,
	STOP_OF_CALL = SIGTRAP | 0x80,  /* PTRACE_O_TRACESYSGOOD                */
};

const bool inject_works = true;

/* As the kernel expects it at the stack pointer less 8 in rt_sigreturn(2) */
struct inject_frame {
	uint64_t ret;
	ucontext_t context;
	struct user_fpregs_struct fpregs __attribute__((__aligned__(64)));
};

/* Instructions of the program */
struct inject_code {
	uint64_t call;                  /* syscall; ret                         */
	uint64_t restore;               /* mov $15, %rax; syscall               */
};

struct inject {
	pid_t tid;
	struct inject_code code;
	struct user_regs_struct old;
	uint64_t mask;                  /* of signals                           */
	uint64_t at;                    /* of the frame                         */
	struct inject_frame before;     /* what was there                       */
};

static struct gdump_error *inject_failed(pid_t tid, const char *what)
{
	return error_os(errno, "thread %d: cannot %s", (int)tid, what);
}

/* Code --------------------------------------------------------------------- */

static void inject_find_bytes(const unsigned char *buf, size_t len, uint64_t addr,
			      const char *bytes, size_t num, uint64_t *ret)
{
	const unsigned char *at = *ret ? NULL : memmem(buf, len, bytes, num);

	if (at)
		*ret = addr + (uint64_t)(at - buf);
}

/* Search [start, end), which the program runs. */
static void inject_search(pid_t tid, uint64_t start, uint64_t end, unsigned char *buf,
			  struct inject_code *code)
{
	static const char call[] = "\x0f\x05\xc3", restore[] = "\x48\xc7\xc0\x0f\0\0\0\x0f\x05";

	/* what lies across two chunks is missed: there are others */
	for (uint64_t addr = start; addr < end && !(code->call && code->restore); addr += CHUNK) {
		struct iovec ours = { buf, (size_t)MIN(end - addr, (uint64_t)CHUNK) };
		struct iovec theirs = { (void *)(uintptr_t)addr, ours.iov_len };
		const ssize_t n = process_vm_readv(tid, &ours, 1, &theirs, 1, 0);

		if (n <= 0)
			return;
		inject_find_bytes(buf, (size_t)n, addr, call, sizeof(call) - 1, &code->call);
		inject_find_bytes(buf, (size_t)n, addr, restore, sizeof(restore) - 1, &code->restore);
	}
}

/* Search the code of files, only that of the C library, or all; and never what a just-in-time compiler
 * has made, which is large and may change.
 */
static struct gdump_error *inject_search_files(pid_t tid, const char *part, struct inject_code *code)
{
	CLEANUP_FREE unsigned char *buf = malloc(CHUNK);
	CLEANUP_FREE char *line = NULL;
	uint64_t start, end, ino;
	char path[40], perms[5];
	size_t cap = 0;
	FILE *f;

	if (!buf)
		return error_nomem();
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)tid);
	f = fopen(path, "re");
	if (!f)
		return inject_failed(tid, "read its memory map");
	while (!(code->call && code->restore) && getline(&line, &cap, f) > 0) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %" SCNu64, &start, &end, perms,
			   &ino) == 4 && !strncmp(perms, "r-x", 3) && ino && strstr(line, part))
			inject_search(tid, start, end, buf, code);
	}
	fclose(f);
	return NULL;
}

static struct gdump_error *inject_find_code(pid_t tid, struct inject_code *code)
{
	struct gdump_error *err = inject_search_files(tid, "/libc", code);

	if (!err && !(code->call && code->restore))
		err = inject_search_files(tid, "/", code);
	if (err || (code->call && code->restore))
		return err;
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "the program has no return from a signal handler as C libraries have it");
}

/* The frame ----------------------------------------------------------------- */

/* The registers after the kernel has restarted or ended the call that was interrupted */
static void inject_finish_call(struct user_regs_struct *r)
{
	switch (-(int64_t)r->rax) {
	case RESTART_SYS: case RESTART_NOINTR: case RESTART_NOHAND:
		r->rax = r->orig_rax;
		r->rip -= 2;
		return;
	case RESTART_BLOCK:
		r->rax = (unsigned long long)-EINTR;
		return;
	default:
		return;
	}
}

static struct gdump_error *inject_fill_frame(const struct inject *i, struct inject_frame *frame)
{
	struct user_regs_struct r = i->old;
	greg_t *g = frame->context.uc_mcontext.gregs;

	inject_finish_call(&r);
	if (ptrace(PTRACE_GETFPREGS, i->tid, NULL, &frame->fpregs))
		return inject_failed(i->tid, "read the registers of its FPU");
	frame->ret = i->code.restore;
	frame->context.uc_flags = FLAG_SS | FLAG_STRICT_SS;
	/* the kernel takes as many bytes as it has signals; the stack for signals, of no size, remains */
	memcpy(&frame->context.uc_sigmask, &i->mask, sizeof(i->mask));
	frame->context.uc_mcontext.fpregs =
		(fpregset_t)(uintptr_t)(i->at + offsetof(struct inject_frame, fpregs));
	g[REG_R8] = (greg_t)r.r8, g[REG_R9] = (greg_t)r.r9, g[REG_R10] = (greg_t)r.r10;
	g[REG_R11] = (greg_t)r.r11, g[REG_R12] = (greg_t)r.r12, g[REG_R13] = (greg_t)r.r13;
	g[REG_R14] = (greg_t)r.r14, g[REG_R15] = (greg_t)r.r15;
	g[REG_RDI] = (greg_t)r.rdi, g[REG_RSI] = (greg_t)r.rsi, g[REG_RBP] = (greg_t)r.rbp;
	g[REG_RBX] = (greg_t)r.rbx, g[REG_RDX] = (greg_t)r.rdx, g[REG_RAX] = (greg_t)r.rax;
	g[REG_RCX] = (greg_t)r.rcx, g[REG_RSP] = (greg_t)r.rsp, g[REG_RIP] = (greg_t)r.rip;
	g[REG_EFL] = (greg_t)r.eflags;
	g[REG_CSGSFS] = (greg_t)(r.cs | r.ss << 48);
	return NULL;
}

/* Copy between @frame and the process, by ptrace(2): process_vm_writev(2) may be forbidden to us. */
static struct gdump_error *inject_copy_frame(const struct inject *i, struct inject_frame *frame,
					     bool put)
{
	uint64_t words[sizeof(*frame) / sizeof(uint64_t)];

	memcpy(words, frame, sizeof(words));
	for (size_t k = 0; k < ARRAY_SIZE(words); k++) {
		void *addr = (void *)(uintptr_t)(i->at + k * sizeof(*words));

		errno = 0;
		if (put)
			ptrace(PTRACE_POKEDATA, i->tid, addr, (void *)(uintptr_t)words[k]);
		else
			words[k] = (uint64_t)ptrace(PTRACE_PEEKDATA, i->tid, addr, NULL);
		if (errno)
			return inject_failed(i->tid, put ? "write below its stack" : "read below its stack");
	}
	memcpy(frame, words, sizeof(words));
	return NULL;
}

/* Steps --------------------------------------------------------------------- */

/* Continue by @request, until a system call begins or ends or, without @call, until the stop of
 * PTRACE_INTERRUPT; a signal that comes meanwhile, which only SIGSTOP can, is delivered.
 */
static struct gdump_error *inject_until(pid_t tid, enum __ptrace_request request, bool call)
{
	int status, sig = 0;

	for (unsigned int k = 0; k < MAX_STOPS; k++) {
		if (ptrace(request, tid, NULL, (void *)(uintptr_t)sig))
			return inject_failed(tid, "continue");
		if (TEMP_FAILURE_RETRY(waitpid(tid, &status, __WALL)) != tid || !WIFSTOPPED(status))
			return error_new(GDUMP_ERR_REMOTE, "thread %d has ended", (int)tid);
		if (call ? WSTOPSIG(status) == STOP_OF_CALL : status >> 16 == PTRACE_EVENT_STOP)
			return NULL;
		sig = status >> 16 || WSTOPSIG(status) == STOP_OF_CALL ? 0 : WSTOPSIG(status);
	}
	return error_new(GDUMP_ERR_OS, "thread %d does not make a system call", (int)tid);
}

/* Make the call, and stop before the next instruction. */
static struct gdump_error *inject_make_call(const struct inject *i, struct inject_call *call)
{
	struct user_regs_struct regs;
	struct gdump_error *err = inject_until(i->tid, PTRACE_SYSCALL, true);

	if (!err)
		err = inject_until(i->tid, PTRACE_SYSCALL, true);
	if (err)
		return err;
	if (ptrace(PTRACE_GETREGS, i->tid, NULL, &regs) ||
	    ptrace(PTRACE_INTERRUPT, i->tid, NULL, NULL))
		return inject_failed(i->tid, "stop it after a system call");
	call->result = (int64_t)regs.rax;
	return inject_until(i->tid, PTRACE_CONT, false);
}

static struct gdump_error *inject_with_frame(const struct inject *i, struct inject_call *call)
{
	const uint64_t blocked = UINT64_MAX;
	struct user_regs_struct regs = i->old;
	struct gdump_error *err = NULL;

	regs.rip = i->code.call;
	regs.rsp = i->at;
	regs.rax = (unsigned long long)call->number;
	regs.orig_rax = (unsigned long long)-1;
	regs.rdi = call->args[0];
	regs.rsi = call->args[1];
	regs.rdx = call->args[2];
	if (ptrace(PTRACE_SETREGS, i->tid, NULL, &regs))
		return inject_failed(i->tid, "set its registers");
	if (ptrace(PTRACE_SETSIGMASK, i->tid, (void *)sizeof(blocked), &blocked))
		err = inject_failed(i->tid, "block its signals");
	if (!err)
		err = inject_make_call(i, call);
	if ((ptrace(PTRACE_SETSIGMASK, i->tid, (void *)sizeof(i->mask), &i->mask) ||
	     ptrace(PTRACE_SETREGS, i->tid, NULL, &i->old)) && !err)
		err = inject_failed(i->tid, "put its registers back");
	return err;
}

static struct gdump_error *inject_begin(struct inject *i)
{
	struct inject_frame frame = { .ret = 0 };
	struct gdump_error *err;

	if (ptrace(PTRACE_GETREGS, i->tid, NULL, &i->old) ||
	    ptrace(PTRACE_GETSIGMASK, i->tid, (void *)sizeof(i->mask), &i->mask) ||
	    ptrace(PTRACE_SETOPTIONS, i->tid, NULL, (void *)PTRACE_O_TRACESYSGOOD))
		return inject_failed(i->tid, "read its registers and signals");
	/* the program may use all registers where no call is made; and others than 64-bit ones */
	if ((int64_t)i->old.orig_rax < 0 || i->old.cs != 0x33)
		return error_new(GDUMP_ERR_UNSUPPORTED, "thread %d is in no system call", (int)i->tid);
	err = inject_find_code(i->tid, &i->code);
	if (err)
		return err;
	/* the kernel wants the frame where a call would leave the stack pointer */
	i->at = round_down(i->old.rsp - RED_ZONE - sizeof(frame), 64);
	err = inject_fill_frame(i, &frame);
	if (!err)
		err = inject_copy_frame(i, &i->before, false);
	return err ? err : inject_copy_frame(i, &frame, true);
}

struct gdump_error *inject_run(pid_t tid, struct inject_call *call)
{
	struct inject i = { .tid = tid };
	struct gdump_error *err = inject_begin(&i), *back;

	if (err)
		return err;
	err = inject_with_frame(&i, call);
	back = inject_copy_frame(&i, &i.before, true);
	if (err)
		gdump_error_destroy(back);
	return err ? err : back;
}
