/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_procmem.c - reading another process: what it has, and what it has not
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "live/procmem.h"

enum { PAGES = 64 };

static size_t page;

/* The memory of the other process: mapped before it is forked, so that the
 * addresses are known, and filled in by it alone.
 */
struct maps {
	char *anon;                     /* private, anonymous                   */
	char *memfd;                    /* shared                               */
	char *private;                  /* private, of a file with a hole       */
	char *anon_shared;
	int fd;                         /* of memfd                             */
};

static struct maps maps_create(void)
{
	int file = memfd_create("file", MFD_CLOEXEC);
	struct maps m = { .fd = memfd_create("guest", MFD_CLOEXEC) };
	const int rw = PROT_READ | PROT_WRITE;

	CHECK(!ftruncate(m.fd, (off_t)(PAGES * page)) && !ftruncate(file, (off_t)(PAGES * page)));
	CHECK_INT(pwrite(file, "file", 4, (off_t)(5 * page)), 4);
	m.anon = mmap(NULL, PAGES * page, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	m.memfd = mmap(NULL, PAGES * page, rw, MAP_SHARED, m.fd, 0);
	m.private = mmap(NULL, PAGES * page, rw, MAP_PRIVATE, file, 0);
	m.anon_shared = mmap(NULL, PAGES * page, rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return m;
}

static pid_t maps_fork(const struct maps *m)
{
	int ready[2];
	pid_t pid;
	char c;

	CHECK(!pipe(ready));
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		strcpy(m->anon + 3 * page, "anon");
		strcpy(m->memfd + 3 * page + 100, "memfd");
		strcpy(m->private + 9 * page, "private");
		strcpy(m->anon_shared + 3 * page, "shared");
		close(ready[0]);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	CHECK_INT(read(ready[0], &c, 1), 0);
	close(ready[0]);
	return pid;
}

/* What is there of @addr: the number of pages, of which @first is one */
static size_t scan(const struct procmem *pm, const char *addr, size_t first)
{
	unsigned char there[PAGES];
	size_t n = 0;

	procmem_scan(pm, (uintptr_t)addr, PAGES, there);
	for (size_t i = 0; i < PAGES; i++)
		n += there[i];
	CHECK_INT(there[first], 1);
	return n;
}

static long blocks(int fd)
{
	struct stat st;

	CHECK(!fstat(fd, &st));
	return (long)st.st_blocks;
}

static void test_read(const struct maps *m, pid_t pid)
{
	CLEANUP_PROCMEM struct procmem *pm = NULL;
	char *buf = malloc(PAGES * page), *zero = calloc(PAGES, page);
	long before = blocks(m->fd);
	const char *p;

	CHECK_OK(procmem_open(pid, &pm));
	if (!pm || !buf || !zero)
		return;
	CHECK_INT(procmem_page_size(pm), page);
	CHECK_OK(procmem_use(pm, (uintptr_t)m->anon, PAGES * page));
	CHECK_OK(procmem_use(pm, (uintptr_t)m->memfd, PAGES * page));
	CHECK_OK(procmem_use(pm, (uintptr_t)m->private, PAGES * page));
	CHECK_OK(procmem_use(pm, (uintptr_t)m->anon_shared, PAGES * page));

	CHECK_INT(scan(pm, m->anon, 3), 1);
	CHECK_INT(scan(pm, m->memfd, 3), 1);
	CHECK_INT(scan(pm, m->private, 5), 2);
	CHECK_INT(scan(pm, m->private, 9), 2);
	CHECK(scan(pm, m->anon_shared, 3) >= 1);

	CHECK_OK(procmem_read(pm, (uintptr_t)m->anon, buf, PAGES * page));
	CHECK_STR(buf + 3 * page, "anon");
	memset(buf + 3 * page, 0, 4);
	CHECK(!memcmp(buf, zero, PAGES * page));
	CHECK_OK(procmem_read(pm, (uintptr_t)m->memfd + 3, buf, PAGES * page - 3));
	CHECK_STR(buf + 3 * page + 97, "memfd");
	memset(buf + 3 * page + 97, 0, 5);
	CHECK(!memcmp(buf, zero, PAGES * page - 3));
	CHECK_OK(procmem_read(pm, (uintptr_t)m->private, buf, PAGES * page));
	CHECK_STR(buf + 5 * page, "file");
	CHECK_STR(buf + 9 * page, "private");

	CHECK(!procmem_borrow(pm, (uintptr_t)m->anon, page));
	p = procmem_borrow(pm, (uintptr_t)m->memfd + 3 * page, page);
	CHECK(p);
	CHECK_STR(p ? p + 100 : "", "memfd");
	CHECK(!procmem_borrow(pm, (uintptr_t)m->memfd + page, PAGES * page));
	/* we have looked at all of it, and no page more has been allocated */
	CHECK_INT(blocks(m->fd), before);
	free(buf);
	free(zero);
}

static void test_not_there(pid_t pid)
{
	CLEANUP_PROCMEM struct procmem *pm = NULL;

	CHECK_OK(procmem_open(pid, &pm));
	CHECK_ERR(procmem_use(pm, 0, page), GDUMP_ERR_NODATA, "no readable memory at 0x0");
}

static void test_died(const struct maps *m, pid_t pid)
{
	CLEANUP_PROCMEM struct procmem *pm = NULL, *none = NULL;
	char buf[10];

	CHECK_OK(procmem_open(pid, &pm));
	CHECK_OK(procmem_use(pm, (uintptr_t)m->anon, PAGES * page));
	kill(pid, SIGKILL);
	CHECK_INT(waitpid(pid, NULL, 0), pid);
	CHECK_ERR(procmem_read(pm, (uintptr_t)m->anon, buf, sizeof(buf)), GDUMP_ERR_REMOTE,
		  "ended while its memory was read");
	CHECK_ERR(procmem_open(pid, &none), GDUMP_ERR_OS, "cannot see the guest's process");
	CHECK_ERR(procmem_open(0, &none), GDUMP_ERR_OS, "PID namespace");
}

/* Another user's process, if we can try that */
static void test_rights(const struct maps *m)
{
	pid_t pid, other = maps_fork(m);
	int status;

	if (geteuid())
		return;
	pid = fork();
	if (!pid) {
		struct procmem *pm;

		check_failed = 0;
		CHECK(!setgid(65534) && !setuid(65534));
		CHECK_ERR(procmem_open(other, &pm), GDUMP_ERR_OS,
			  "belongs to user 0, we are user 65534");
		_exit(check_failed);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
}

int main(void)
{
	struct maps m;
	pid_t pid;

	page = (size_t)sysconf(_SC_PAGESIZE);
	m = maps_create();
	pid = maps_fork(&m);
	test_read(&m, pid);
	test_not_there(pid);
	test_died(&m, pid);
	test_rights(&m);
	return check_done();
}
