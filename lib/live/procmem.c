/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * procmem.c - reading the memory of another process, by its own addresses
 *
 * Theory of operation.  /proc/PID/maps divides the process's memory into areas,
 * and there are four ways to read one:
 *
 * shared      A shared mapping of a file, usually a memfd or a file in tmpfs.  We map
 *             the same file and use its pages in place, which is the fastest way.
 *             An access to a hole of such a file allocates a page on the guest's
 *             account, so we access only pages that the file has.
 * private     Everything else is copied with process_vm_readv(2).  In anonymous
 *             memory, a page that /proc/PID/pagemap shows as neither present nor
 *             swapped out was never written to, and is zero.  In a private mapping
 *             of a file, such a page is that of the file, and is zero only if the
 *             file has a hole there.
 * huge        Shared hugetlbfs, which has no SEEK_DATA, and whose pages are scarce.
 *             A page that is not in the process's page tables may have been filled
 *             by another process, unless the page tables have as many pages as the
 *             file.
 * opaque      Shared memory whose file we cannot open.  The page tables of one
 *             process do not show which pages the file has, so all of it is read.
 *
 * mincore(2) on our mapping quickly shows the pages of a file that are in memory.  The
 * others may be swapped out, on disk, or a hole, which lseek(2) with SEEK_DATA finds
 * out.  lseek() alone would do, but it walks from data to the next hole, which may be
 * gigabytes away, or must be called for each page.
 */
#include "procmem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "../util/array.h"
#include "../util/bisect.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "rights.h"

/* In /proc/PID/pagemap, see the kernel's Documentation/admin-guide/mm/pagemap.rst */
static const uint64_t pagemap_there = (uint64_t)1 << 63 | (uint64_t)1 << 62; /* present, swapped */
static const uint64_t pagemap_wp = (uint64_t)1 << 57;   /* by userfaultfd; since Linux 5.14     */

/* PAGEMAP_SCAN of <linux/fs.h>, since Linux 6.7 */
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

struct scanned {
	uint64_t start, end, categories;
};

#define SCAN_PAGEMAP _IOWR('f', 16, struct scan_arg)

enum {
	SCAN_WRITTEN = 1 << 1,          /* not write-protected                  */
	SCAN_PRESENT = 1 << 3,
	SCAN_SWAPPED = 1 << 4,          /* also: does not exist, but is write-protected */
	SCAN_ZERO    = 1 << 5,          /* the shared page of zeros             */
};

enum area_kind { AREA_PRIVATE, AREA_SHARED, AREA_HUGE, AREA_OPAQUE };

/* One mapping of the process: [start, end) */
struct area {
	uint64_t start, end, off;
	dev_t dev;
	uint64_t ino;                   /* 0: anonymous                         */
	bool readable, is_shared, used;
	bool is_data;                   /* for reading and writing, not to run  */
	enum area_kind kind;
	int fd;                         /* of the file, or -1                   */
	bool may_mincore;
	const unsigned char *map;       /* ours of AREA_SHARED                  */
	blkcnt_t blocks;                /* of the file of AREA_HUGE             */
};

struct procmem {
	pid_t pid;
	int pidfd, pagemap;             /* -1: not available                    */
	uint64_t page_size;
	struct area *areas;             /* ascending                            */
	size_t num_areas;
};

/* One line of /proc/PID/maps */
static struct gdump_error *procmem_add(struct procmem *pm, const char *line)
{
	struct area a = { .fd = -1 };
	unsigned int major, minor;
	char perms[5];

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64, &a.start,
		   &a.end, perms, &a.off, &major, &minor, &a.ino) != 7)
		return error_new(GDUMP_ERR_OS, "/proc/%d/maps has an invalid line: %s",
				 (int)pm->pid, line);
	a.dev = makedev(major, minor);
	a.readable = perms[0] == 'r';
	a.is_shared = perms[3] == 's';
	a.is_data = !strncmp(perms, "rw-", 3);
	if (!ARRAY_GROW(pm->areas, pm->num_areas))
		return error_nomem();
	pm->areas[pm->num_areas++] = a;
	return NULL;
}

static struct gdump_error *procmem_read_maps(struct procmem *pm)
{
	CLEANUP_FREE char *line = NULL;
	struct gdump_error *err = NULL;
	size_t cap = 0;
	char path[40];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pm->pid);
	f = fopen(path, "re");
	if (!f)
		return rights_explain(pm->pid, errno);
	errno = 0;
	while (!err && getline(&line, &cap, f) > 0)
		err = procmem_add(pm, line);
	/* open() works without the right to read; then read() fails or returns nothing */
	if (!err && (ferror(f) || !pm->num_areas))
		err = rights_explain(pm->pid, errno ? errno : EACCES);
	fclose(f);
	return err;
}

static struct gdump_error *procmem_failed(const struct procmem *pm, uint64_t addr, int errnum)
{
	struct pollfd p = { .fd = pm->pidfd, .events = POLLIN };

	if (errnum == ESRCH || (pm->pidfd >= 0 && poll(&p, 1, 0) > 0))
		return error_new(GDUMP_ERR_REMOTE,
				 "process %d ended while its memory was read",
				 (int)pm->pid);
	if (errnum == EPERM || errnum == EACCES)
		return rights_explain(pm->pid, errnum);
	if (errnum == EFAULT)
		return error_new(GDUMP_ERR_NODATA,
				 "the host cannot read address 0x%" PRIx64 " of process %d: is its "
				 "memory broken?", addr, (int)pm->pid);
	return error_os(errnum, "cannot read address 0x%" PRIx64 " of process %d", addr,
			(int)pm->pid);
}

/* Copy memory that is not mapped by us. */
static struct gdump_error *procmem_copy(const struct procmem *pm, uint64_t addr, void *buf,
					size_t len)
{
	while (len) {
		struct iovec to = { .iov_base = buf, .iov_len = len };
		struct iovec from = { .iov_base = (void *)(uintptr_t)addr, .iov_len = len };
		ssize_t n = process_vm_readv(pm->pid, &to, 1, &from, 1, 0);

		if (n <= 0)
			return procmem_failed(pm, addr, n ? errno : EFAULT);
		addr += (uint64_t)n;
		buf = (char *)buf + n;
		len -= (size_t)n;
	}
	return NULL;
}

/* Whether we may read the process: try one byte of its first readable area, its program,
 * because reading guest memory could allocate a page.
 */
static struct gdump_error *procmem_try(const struct procmem *pm)
{
	unsigned char byte;
	size_t i = 0;

	while (i < pm->num_areas && !pm->areas[i].readable)
		i++;
	return i < pm->num_areas ? procmem_copy(pm, pm->areas[i].start, &byte, 1) : NULL;
}

struct gdump_error *procmem_open(pid_t pid, struct procmem **ret)
{
	CLEANUP_PROCMEM struct procmem *pm = NULL;
	struct gdump_error *err;
	char path[40];

	if (pid <= 0)
		return rights_explain(pid, ESRCH);
	pm = calloc(1, sizeof(*pm));
	if (!pm)
		return error_nomem();
	pm->pid = pid;
	pm->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	pm->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	pm->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	err = procmem_read_maps(pm);
	if (!err)
		err = procmem_try(pm);
	if (err)
		return err;
	*ret = TAKE_PTR(pm);
	return NULL;
}

void procmem_close(struct procmem *pm)
{
	if (!pm)
		return;
	for (size_t i = 0; i < pm->num_areas; i++) {
		struct area *a = &pm->areas[i];

		if (a->map)
			munmap((void *)(uintptr_t)a->map, a->end - a->start);
		if (a->fd >= 0)
			close(a->fd);
	}
	if (pm->pidfd >= 0)
		close(pm->pidfd);
	if (pm->pagemap >= 0)
		close(pm->pagemap);
	free(pm->areas);
	free(pm);
}

/* The area that holds @addr, or NULL */
static struct area *procmem_area(const struct procmem *pm, uint64_t addr)
{
	const size_t i = BISECT(pm->num_areas, k, pm->areas[k].end > addr);

	return i < pm->num_areas && pm->areas[i].start <= addr ? &pm->areas[i] : NULL;
}

/* Open @name in @dir if it is the file of @a; -1: it is not, or we may not open it. */
static int area_open_at(const struct area *a, int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, 0) || !S_ISREG(st.st_mode) ||
	    st.st_dev != a->dev || st.st_ino != a->ino)
		return -1;
	return openat(dir, name, O_RDONLY | O_CLOEXEC);
}

/* Open the file of @a, which may no longer have a name; -1: we cannot. */
static int area_open_file(const struct procmem *pm, const struct area *a)
{
	struct dirent *entry;
	char path[80];
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)pm->pid,
		 a->start, a->end);
	fd = area_open_at(a, AT_FDCWD, path);
	if (fd >= 0)
		return fd;
	/* map_files needs CAP_CHECKPOINT_RESTORE; a descriptor of the process may still be open */
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pm->pid);
	dir = opendir(path);
	while (dir && fd < 0 && (entry = readdir(dir)))
		fd = area_open_at(a, dirfd(dir), entry->d_name);
	if (dir)
		closedir(dir);
	return fd;
}

/* Which of @num pages have one of @bits in the page tables.  False: unknown. */
static bool procmem_read_tables(const struct procmem *pm, uint64_t addr, size_t num,
				uint64_t bits, unsigned char *has)
{
	uint64_t entries[1024];
	ssize_t got;
	size_t n;

	for (; num; num -= n, has += n, addr += n * pm->page_size) {
		n = MIN(num, ARRAY_SIZE(entries));
		got = pm->pagemap < 0 ? -1 :
		      pread(pm->pagemap, entries, n * sizeof(*entries),
			    (off_t)(addr / pm->page_size * sizeof(*entries)));
		if (got != (ssize_t)(n * sizeof(*entries)))
			return false;
		for (size_t i = 0; i < n; i++)
			has[i] = !!(entries[i] & bits);
	}
	return true;
}

/* Which of @num pages the page tables have; without /proc/PID/pagemap, all of them. */
static void procmem_scan_tables(const struct procmem *pm, uint64_t addr, size_t num,
				unsigned char *there)
{
	if (!procmem_read_tables(pm, addr, num, pagemap_there, there))
		memset(there, 1, num);
}

/* Whether the process's page tables have every page that the file in hugetlbfs has */
static bool area_is_huge(const struct procmem *pm, struct area *a)
{
	uint64_t present = 0, left = (a->end - a->start) / pm->page_size;
	unsigned char there[1024];
	struct stat st;
	size_t n;

	if (fstat(a->fd, &st) || pm->pagemap < 0)
		return false;
	for (uint64_t addr = a->start; left; addr += n * pm->page_size, left -= n) {
		n = (size_t)MIN(left, (uint64_t)ARRAY_SIZE(there));
		procmem_scan_tables(pm, addr, n, there);
		for (size_t i = 0; i < n; i++)
			present += there[i];
	}
	a->blocks = st.st_blocks;
	return st.st_blocks >= 0 && (uint64_t)st.st_blocks * 512 == present * pm->page_size;
}

static bool area_is_hugetlbfs(const struct area *a)
{
	struct statfs fs;

	return !fstatfs(a->fd, &fs) && fs.f_type == HUGETLBFS_MAGIC;
}

/* Find out how to read @a. */
static void area_open(const struct procmem *pm, struct area *a)
{
	uint64_t size = a->end - a->start;
	struct stat st;
	void *map;

	a->used = true;
	a->kind = a->is_shared ? AREA_OPAQUE : AREA_PRIVATE;
	if (!a->ino)
		return;
	a->fd = area_open_file(pm, a);
	if (a->fd < 0 || !a->is_shared)
		return;
	if (area_is_hugetlbfs(a)) {
		a->kind = area_is_huge(pm, a) ? AREA_HUGE : AREA_OPAQUE;
		return;
	}
	if (fstat(a->fd, &st) || st.st_size < 0 ||
	    !range_fits(a->off, size, (uint64_t)st.st_size))
		return;
	map = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_NORESERVE, a->fd, (off_t)a->off);
	if (map == MAP_FAILED)
		return;
	/* keep the guest's memory out of our own core dump */
	madvise(map, size, MADV_DONTDUMP);
	a->map = map;
	a->kind = AREA_SHARED;
	/* of a file that we neither own nor may write, mincore() reports every page as present */
	a->may_mincore = st.st_uid == geteuid() ||
			 !faccessat(a->fd, "", W_OK, AT_EACCESS | AT_EMPTY_PATH);
}

static bool area_continues(const struct area *a, const struct area *before)
{
	return before->is_data && a->start == before->end && a->ino == before->ino &&
	       a->dev == before->dev &&
	       (!a->ino || a->off == before->off + (before->end - before->start));
}

struct gdump_error *procmem_find_spans(const struct procmem *pm, uint64_t min,
				       struct procmem_span **ret, size_t *num)
{
	CLEANUP_FREE struct procmem_span *spans = NULL;
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < pm->num_areas; i++) {
		const struct area *a = &pm->areas[i];

		if (a->is_data && i && area_continues(a, a - 1)) {
			spans[n - 1].size += a->end - a->start;
			continue;
		}
		if (!a->is_data)
			continue;
		if (!ARRAY_GROW(spans, n))
			return error_nomem();
		spans[n++] = (struct procmem_span){ a->start, a->end - a->start };
	}
	for (size_t i = 0; i < n; i++) {
		if (spans[i].size >= min)
			spans[kept++] = spans[i];
	}
	*num = kept;
	*ret = TAKE_PTR(spans);
	return NULL;
}

struct gdump_error *procmem_use(struct procmem *pm, uint64_t addr, uint64_t size)
{
	uint64_t end = addr + size;

	while (addr < end) {
		struct area *a = procmem_area(pm, addr);

		if (!a || !a->readable)
			return error_new(GDUMP_ERR_NODATA,
					 "process %d has no readable memory at 0x%" PRIx64,
					 (int)pm->pid, addr);
		if (!a->used)
			area_open(pm, a);
		addr = a->end;
	}
	return NULL;
}

uint64_t procmem_page_size(const struct procmem *pm)
{
	return pm->page_size;
}

/* Mark the pages that the file has and that are not marked yet. */
static void area_scan_file(const struct procmem *pm, const struct area *a, uint64_t addr,
			   size_t num, unsigned char *there)
{
	off_t off, data;
	uint64_t skip;

	for (size_t i = 0; i < num; i++) {
		if (there[i])
			continue;
		off = (off_t)(a->off + (addr - a->start) + i * pm->page_size);
		data = lseek(a->fd, off, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return;
		if (data < 0) {
			memset(there, 1, num);
			return;
		}
		skip = (uint64_t)(data - off) / pm->page_size;
		if (skip >= num - i)
			return;
		i += skip;
		there[i] = 1;
	}
}

static void area_scan_shared(const struct procmem *pm, const struct area *a, uint64_t addr,
			     size_t num, unsigned char *there)
{
	void *map = (void *)(uintptr_t)(a->map + (addr - a->start));

	if (a->may_mincore && !mincore(map, num * pm->page_size, there)) {
		for (size_t i = 0; i < num; i++)
			there[i] &= 1;
	} else {
		memset(there, 0, num);
	}
	area_scan_file(pm, a, addr, num, there);
}

/* A page of a private mapping that is not populated is that of the file. */
static void area_scan_private(const struct procmem *pm, const struct area *a, uint64_t addr,
			      size_t num, unsigned char *there)
{
	struct stat st;

	procmem_scan_tables(pm, addr, num, there);
	if (!a->ino)
		return;
	if (a->fd < 0 || fstat(a->fd, &st))
		memset(there, 1, num);
	else if (!area_is_hugetlbfs(a))
		area_scan_file(pm, a, addr, num, there);
	else if (st.st_blocks)
		memset(there, 1, num);  /* hugetlbfs does not report which pages it has */
}

/* The page tables are right as long as the file has as many pages as before. */
static void area_scan_huge(const struct procmem *pm, const struct area *a, uint64_t addr,
			   size_t num, unsigned char *there)
{
	struct stat st;

	procmem_scan_tables(pm, addr, num, there);
	if (fstat(a->fd, &st) || st.st_blocks != a->blocks)
		memset(there, 1, num);
}

void procmem_scan(const struct procmem *pm, uint64_t addr, size_t num, unsigned char *there)
{
	size_t n;

	for (; num; num -= n, there += n, addr += n * pm->page_size) {
		const struct area *a = procmem_area(pm, addr);

		n = a ? (size_t)MIN((a->end - addr) / pm->page_size, (uint64_t)num) : num;
		if (a && a->kind == AREA_SHARED)
			area_scan_shared(pm, a, addr, n, there);
		else if (a && a->kind == AREA_PRIVATE)
			area_scan_private(pm, a, addr, n, there);
		else if (a && a->kind == AREA_HUGE)
			area_scan_huge(pm, a, addr, n, there);
		else
			memset(there, 1, n);
	}
}

/* Fill @wp with states of enum wp_state.  False: the kernel cannot report them. */
static bool procmem_scan_wp(const struct procmem *pm, uint64_t addr, size_t num, unsigned char *wp)
{
	struct scanned found[128];
	struct scan_arg arg = {
		.size = sizeof(arg), .start = addr, .end = addr + num * pm->page_size,
		.vec = (uintptr_t)found, .vec_len = ARRAY_SIZE(found),
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_PRESENT | SCAN_SWAPPED | SCAN_WRITTEN | SCAN_ZERO,
	};

	memset(wp, WP_NONE, num);
	for (; arg.start < arg.end; arg.start = arg.walk_end) {
		const int n = pm->pagemap < 0 ? -1 : ioctl(pm->pagemap, SCAN_PAGEMAP, &arg);

		if (n < 0 || arg.walk_end <= arg.start)
			return false;
		for (int i = 0; i < n; i++) {
			const size_t first = (found[i].start - addr) / pm->page_size;
			const size_t end = (found[i].end - addr) / pm->page_size;

			if (!(found[i].categories & SCAN_WRITTEN))
				memset(wp + first, found[i].categories & SCAN_ZERO ?
				       WP_PROTECTED_ZERO : WP_PROTECTED, end - first);
		}
	}
	return true;
}

void procmem_wp_state(const struct procmem *pm, uint64_t addr, size_t num, unsigned char *wp)
{
	if (!procmem_scan_wp(pm, addr, num, wp) &&
	    !procmem_read_tables(pm, addr, num, pagemap_wp, wp))
		memset(wp, WP_NONE, num);
}

void procmem_wp_least(const struct procmem *pm, uint64_t addr, uint64_t size, size_t num,
		      unsigned char *wp)
{
	const uint64_t end = addr + num * size;
	unsigned char pages[512];
	uint64_t next, first;
	size_t n;

	memset(wp, WP_PROTECTED_ZERO, num);
	for (uint64_t page = round_down(addr, pm->page_size); page < end; ) {
		n = (size_t)MIN(div_up(end - page, pm->page_size), (uint64_t)ARRAY_SIZE(pages));
		procmem_wp_state(pm, page, n, pages);
		for (size_t i = 0; i < n; i++, page = next) {
			next = page + pm->page_size;
			first = MAX(page, addr) - addr;
			for (size_t k = first / size; k * size < MIN(next, end) - addr; k++)
				wp[k] = MIN(wp[k], pages[i]);
		}
	}
}

bool procmem_reports_wp(const struct procmem *pm)
{
	struct scan_arg arg = { .size = sizeof(arg), .start = pm->page_size, .end = pm->page_size };
	unsigned int major = 0, minor = 0;
	struct utsname uts;

	if (pm->pagemap < 0)
		return false;
	if (!ioctl(pm->pagemap, SCAN_PAGEMAP, &arg))
		return true;
	/* before Linux 5.14 the page tables that we see lack that bit */
	return !uname(&uts) && sscanf(uts.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 5 || (major == 5 && minor >= 14));
}

/* Whether a page that the process reads for the first time takes memory that it does not have yet */
static bool area_allocates(const struct area *a, bool private)
{
	return a->kind == AREA_SHARED || (private && a->kind == AREA_PRIVATE && !a->ino);
}

uint64_t procmem_count_unpopulated(const struct procmem *pm, uint64_t addr, uint64_t size,
				   bool private)
{
	unsigned char there[4096];
	uint64_t ret = 0;
	size_t n;

	for (uint64_t left = size / pm->page_size; left; left -= n, addr += n * pm->page_size) {
		const struct area *a = procmem_area(pm, addr);

		if (!a)
			break;
		n = (size_t)MIN((a->end - addr) / pm->page_size, left);
		if (!area_allocates(a, private))
			continue;
		n = MIN(n, ARRAY_SIZE(there));
		procmem_scan(pm, addr, n, there);
		for (size_t i = 0; i < n; i++)
			ret += there[i] ? 0 : pm->page_size;
	}
	return ret;
}

void procmem_populate(const struct procmem *pm, uint64_t addr, uint64_t size)
{
	unsigned char there[512], bytes[ARRAY_SIZE(there)];
	struct iovec from[ARRAY_SIZE(there)];
	struct iovec to = { .iov_base = bytes };
	size_t num, n;

	for (uint64_t left = size / pm->page_size; left; left -= num, addr += num * pm->page_size) {
		num = (size_t)MIN(left, (uint64_t)ARRAY_SIZE(there));
		procmem_scan_tables(pm, addr, num, there);
		n = 0;
		for (size_t i = 0; i < num; i++) {
			if (!there[i])
				from[n++] = (struct iovec){ (void *)(uintptr_t)(addr + i * pm->page_size), 1 };
		}
		to.iov_len = n;
		/* it only saves time: what cannot be read remains as it is */
		if (n && process_vm_readv(pm->pid, &to, 1, from, n, 0) < 0)
			return;
	}
}

void procmem_populate_private(const struct procmem *pm, uint64_t addr, uint64_t size)
{
	const uint64_t end = addr + size;
	const struct area *a;

	for (; addr < end && (a = procmem_area(pm, addr)); addr = a->end) {
		if (a->kind == AREA_PRIVATE)
			procmem_populate(pm, addr, MIN(a->end, end) - addr);
	}
}

bool procmem_is_huge(const struct procmem *pm, uint64_t addr, uint64_t size)
{
	const uint64_t end = addr + size;
	const struct area *a;

	for (; addr < end && (a = procmem_area(pm, addr)); addr = a->end) {
		if (a->fd >= 0 && area_is_hugetlbfs(a))
			return true;
	}
	return false;
}

/* Copy from a file that we map too, without filling its holes. */
static void area_copy_shared(const struct procmem *pm, const struct area *a, uint64_t addr,
			     unsigned char *buf, size_t len)
{
	unsigned char there[256];

	while (len) {
		uint64_t page = round_down(addr, pm->page_size);
		size_t num = (size_t)MIN(div_up(addr - page + len, pm->page_size),
					 (uint64_t)ARRAY_SIZE(there));

		area_scan_shared(pm, a, page, num, there);
		for (size_t i = 0; i < num; i++) {
			size_t n = (size_t)MIN(page + (i + 1) * pm->page_size - addr,
					       (uint64_t)len);

			if (there[i])
				memcpy(buf, a->map + (addr - a->start), n);
			else
				memset(buf, 0, n);
			addr += n;
			buf += n;
			len -= n;
		}
	}
}

struct gdump_error *procmem_read(const struct procmem *pm, uint64_t addr, void *buf, size_t len)
{
	struct gdump_error *err = NULL;
	size_t n;

	for (; !err && len; addr += n, buf = (char *)buf + n, len -= n) {
		const struct area *a = procmem_area(pm, addr);

		n = a ? (size_t)MIN(a->end - addr, (uint64_t)len) : len;
		if (a && a->kind == AREA_SHARED)
			area_copy_shared(pm, a, addr, buf, n);
		else
			err = procmem_copy(pm, addr, buf, n);
	}
	return err;
}

const void *procmem_borrow(const struct procmem *pm, uint64_t addr, size_t len)
{
	const struct area *a = procmem_area(pm, addr);

	if (!a || a->kind != AREA_SHARED || len > a->end - addr)
		return NULL;
	return a->map + (addr - a->start);
}
