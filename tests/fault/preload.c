/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * preload.c - LD_PRELOAD: lets the n-th call of a kind fail
 *
 *     FAULT=KIND:N       a kind of the table below; N 0: none, only count
 *     FAULT_FILE=FILE    gets a struct report
 *
 * Calls count from main() on, in all processes together, and a full disk stays full.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { NONE, ENOSPC_, EIO_, EINTR_, SHORT, ENOMEM_, EMFILE_ };

static const struct {
	const char *name;
	int error;
	bool stays;
} kinds[] = {
	[ENOSPC_] = { "enospc", ENOSPC, true },
	[EIO_] = { "eio", EIO, false },
	[EINTR_] = { "eintr", EINTR, false },
	[SHORT] = { "short", 0, false },
	[ENOMEM_] = { "enomem", ENOMEM, false },
	[EMFILE_] = { "emfile", EMFILE, false },
};

/* Shared with sweep.py */
struct report {
	uint32_t calls, faults;
	int32_t descriptors;            /* open at the end                      */
	int32_t allocations;            /* not freed then                       */
	char call[32];                  /* that failed first                    */
};

static struct report *report;
static enum kind kind;
static uint32_t nth;
static bool armed;
static pid_t main_pid;

/* Whether the call @name, which can fail in the way @can, does it now. */
static bool fault(enum kind can, const char *name)
{
	uint32_t i;

	if (!armed || can != kind || !report)
		return false;
	i = __atomic_add_fetch(&report->calls, 1, __ATOMIC_RELAXED);
	if (!nth || i < nth || (i > nth && !kinds[kind].stays))
		return false;
	if (!__atomic_fetch_add(&report->faults, 1, __ATOMIC_RELAXED))
		strncpy(report->call, name, sizeof(report->call) - 1);
	errno = kinds[kind].error;
	return true;
}

#define NEXT(name) __extension__({                                             \
	static typeof(name) *next_;                                            \
	if (!next_)                                                            \
		*(void **)&next_ = dlsym(RTLD_NEXT, #name);                    \
	next_;                                                                 \
})

/* Messages come through. */
static bool is_file(int fd)
{
	return fd > STDERR_FILENO;
}

static bool fails_writing(int fd, const char *name)
{
	return is_file(fd) && (fault(ENOSPC_, name) || fault(EIO_, name) || fault(EINTR_, name));
}

static bool fails_reading(int fd, const char *name)
{
	return is_file(fd) && (fault(EIO_, name) || fault(EINTR_, name));
}

static size_t shortened(int fd, size_t len, const char *name)
{
	return len > 1 && is_file(fd) && fault(SHORT, name) ? len / 2 : len;
}

ssize_t read(int fd, void *buf, size_t len)
{
	if (fails_reading(fd, __func__))
		return -1;
	return NEXT(read)(fd, buf, shortened(fd, len, __func__));
}

ssize_t pread64(int fd, void *buf, size_t len, off64_t off)
{
	if (fails_reading(fd, __func__))
		return -1;
	return NEXT(pread64)(fd, buf, shortened(fd, len, __func__), off);
}

ssize_t preadv64(int fd, const struct iovec *iov, int num, off64_t off)
{
	if (fails_reading(fd, __func__))
		return -1;
	if (iov->iov_len > 1 && fault(SHORT, __func__))
		return NEXT(pread64)(fd, iov->iov_base, iov->iov_len / 2, off);
	return NEXT(preadv64)(fd, iov, num, off);
}

ssize_t write(int fd, const void *buf, size_t len)
{
	if (fails_writing(fd, __func__))
		return -1;
	return NEXT(write)(fd, buf, shortened(fd, len, __func__));
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	if (fails_writing(fd, __func__))
		return -1;
	return NEXT(pwrite64)(fd, buf, shortened(fd, len, __func__), off);
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	if (fails_reading(fd, __func__))
		return -1;
	return NEXT(recv)(fd, buf, shortened(fd, len, __func__), flags);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (is_file(fd) && (fault(EIO_, __func__) || fault(EINTR_, __func__)))
		return -1;
	if (msg->msg_iovlen == 1 && msg->msg_iov->iov_len > 1 && fault(SHORT, __func__)) {
		struct iovec half = { msg->msg_iov->iov_base, msg->msg_iov->iov_len / 2 };
		struct msghdr less = *msg;

		less.msg_iov = &half;
		return NEXT(sendmsg)(fd, &less, flags);
	}
	return NEXT(sendmsg)(fd, msg, flags);
}

ssize_t process_vm_readv(pid_t pid, const struct iovec *to, unsigned long num_to,
			 const struct iovec *from, unsigned long num_from, unsigned long flags)
{
	if (fault(EIO_, __func__))
		return -1;
	if (num_to == 1 && to->iov_len > 1 && fault(SHORT, __func__)) {
		struct iovec half = { to->iov_base, to->iov_len / 2 };

		return NEXT(process_vm_readv)(pid, &half, 1, from, num_from, flags);
	}
	return NEXT(process_vm_readv)(pid, to, num_to, from, num_from, flags);
}

ssize_t splice(int from, off64_t *off_from, int to, off64_t *off_to, size_t len, unsigned int flags)
{
	if (fails_reading(from, __func__))
		return -1;
	return NEXT(splice)(from, off_from, to, off_to, shortened(from, len, __func__), flags);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fails_reading(fd, __func__) ? -1 : NEXT(ioctl)(fd, request, arg);
}

int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
	return fault(EINTR_, __func__) ? -1 : NEXT(connect)(fd, addr, len);
}

int poll(struct pollfd *fds, nfds_t num, int timeout)
{
	return fault(EINTR_, __func__) ? -1 : NEXT(poll)(fds, num, timeout);
}

int ftruncate64(int fd, off64_t size)
{
	return fails_writing(fd, __func__) ? -1 : NEXT(ftruncate64)(fd, size);
}

int fsync(int fd)
{
	return fails_writing(fd, __func__) ? -1 : NEXT(fsync)(fd);
}

off64_t lseek64(int fd, off64_t off, int whence)
{
	return is_file(fd) && fault(EIO_, __func__) ? -1 : NEXT(lseek64)(fd, off, whence);
}

int renameat2(int from, const char *old, int to, const char *new, unsigned int flags)
{
	if (fault(ENOSPC_, __func__) || fault(EIO_, __func__))
		return -1;
	return NEXT(renameat2)(from, old, to, new, flags);
}

static bool fails_opening(int flags, const char *name)
{
	if (flags & O_CREAT && fault(ENOSPC_, name))
		return true;
	/* the wait for the writer of a FIFO, as which it may be opened, may be interrupted */
	if (flags & (O_CREAT | O_DIRECTORY | O_NONBLOCK) && fault(EINTR_, name))
		return true;
	return fault(EIO_, name) || fault(EMFILE_, name);
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

int open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return fails_opening(flags, __func__) ? -1 : NEXT(open64)(path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return fails_opening(flags, __func__) ? -1 : NEXT(openat64)(dir, path, flags, mode);
}

int socket(int domain, int type, int protocol)
{
	return fault(EMFILE_, __func__) ? -1 : NEXT(socket)(domain, type, protocol);
}

int pipe2(int fds[2], int flags)
{
	return fault(EMFILE_, __func__) ? -1 : NEXT(pipe2)(fds, flags);
}

void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t off)
{
	return fault(ENOMEM_, __func__) ? MAP_FAILED : NEXT(mmap64)(addr, len, prot, flags, fd, off);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	return fault(ENOMEM_, __func__) ? EAGAIN : NEXT(pthread_create)(thread, attr, run, arg);
}

/* Allocations ------------------------------------------------------------- */

/* glibc's own names */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t num, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *p);

static void *counted(void *p)
{
	if (p && report)
		__atomic_add_fetch(&report->allocations, 1, __ATOMIC_RELAXED);
	return p;
}

void *malloc(size_t size)
{
	return fault(ENOMEM_, __func__) ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t num, size_t size)
{
	return fault(ENOMEM_, __func__) ? NULL : counted(__libc_calloc(num, size));
}

void *realloc(void *p, size_t size)
{
	if (fault(ENOMEM_, __func__))
		return NULL;
	return p ? __libc_realloc(p, size) : counted(__libc_realloc(p, size));
}

void *aligned_alloc(size_t align, size_t size)
{
	return fault(ENOMEM_, __func__) ? NULL : counted(__libc_memalign(align, size));
}

void free(void *p)
{
	if (p && report)
		__atomic_sub_fetch(&report->allocations, 1, __ATOMIC_RELAXED);
	__libc_free(p);
}

/* From the beginning to the end ------------------------------------------- */

static void prepare(void)
{
	const char *what = getenv("FAULT"), *path = getenv("FAULT_FILE"), *colon;
	int fd;

	colon = what ? strchr(what, ':') : NULL;
	if (!colon || !path)
		return;
	for (size_t i = NONE + 1; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strncmp(kinds[i].name, what, (size_t)(colon - what)))
			kind = (enum kind)i;
	}
	nth = (uint32_t)strtoul(colon + 1, NULL, 10);
	fd = NEXT(open64)(path, O_RDWR | O_CLOEXEC);
	report = NEXT(mmap64)(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (report == MAP_FAILED)
		_exit(99);
	close(fd);
	main_pid = getpid();
	armed = true;
}

static void finish(void)
{
	armed = false;
	if (!report || getpid() != main_pid)
		return;
	report->descriptors = 0;
	for (int fd = 0; fd < 256; fd++)
		report->descriptors += fcntl(fd, F_GETFD) >= 0;
}

static int (*real_main)(int argc, char **argv, char **envp);

static int wrapped_main(int argc, char **argv, char **envp)
{
	prepare();
	atexit(finish);
	return real_main(argc, argv, envp);
}

typedef int start_fn(int (*main)(int, char **, char **), int argc, char **argv,
		     int (*init)(int, char **, char **), void (*fini)(void),
		     void (*rtld_fini)(void), void *stack_end);
start_fn __libc_start_main;

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv,
		      int (*init)(int, char **, char **), void (*fini)(void),
		      void (*rtld_fini)(void), void *stack_end)
{
	real_main = main;
	return NEXT(__libc_start_main)(wrapped_main, argc, argv, init, fini, rtld_fini, stack_end);
}
