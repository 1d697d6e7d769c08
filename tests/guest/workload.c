/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * workload.c - inside of a guest: pages of every kind, and what the guest says of them
 *
 *     workload DIRECTORY
 *
 * Fills page cache (files in DIRECTORY, the block device /dev/ram0 if there is one),
 * anonymous memory, huge pages, merged pages, slabs and free memory, then copies
 * /proc/kpageflags into its own memory, says how many pages of each kind there are,
 * and sleeps for ever.  tests/tools/pageflags.py finds that copy in a dump.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MIB = 1 << 20, FILES = 8000 };

/* A page of the copy */
struct copy {
	char magic[32];
	uint64_t page_size;
	uint64_t first, num;            /* pages of RAM that flags are of       */
	uint64_t last;                  /* whether it ends here                 */
	uint64_t flags[];
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static unsigned char *fill(unsigned char *p, size_t size)
{
	for (size_t i = 0; i < size; i += 64)
		*(uint64_t *)(void *)(p + i) = 0x0123456789abcdef ^ i;
	return p;
}

static unsigned char *anonymous(size_t size, int flags)
{
	unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("%s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static long read_number(const char *path)
{
	FILE *f = fopen(path, "r");
	long v = -1;

	if (f) {
		if (fscanf(f, "%ld", &v) != 1)
			v = -1;
		fclose(f);
	}
	return v;
}

static void small_pages(void)
{
	unsigned char *p = anonymous(8 * MIB, 0);
	unsigned char *locked = anonymous(2 * MIB, 0);

	if (!p || !locked)
		die("memory");
	madvise(p, 8 * MIB, MADV_NOHUGEPAGE);
	fill(p, 8 * MIB);
	fill(locked, 2 * MIB);
	if (mlock(locked, 2 * MIB))
		die("mlock");
}

static void huge_pages(size_t huge)
{
	const size_t size = 3 * huge;
	unsigned char *p = anonymous(size, 0);

	write_text("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	if (p && !madvise(p, size, MADV_HUGEPAGE))
		fill(p, size);
	/* two that are mapped, and others in the pool */
	write_text("/proc/sys/vm/nr_hugepages", "3");
	p = anonymous(2 * huge, MAP_HUGETLB);
	if (p)
		fill(p, 2 * huge);
}

static void merged_pages(void)
{
	const size_t size = 2 * MIB;
	unsigned char *p = anonymous(size, 0);

	if (!p || madvise(p, size, MADV_MERGEABLE))
		return;
	memset(p, 0x5a, size);
	write_text("/sys/kernel/mm/ksm/pages_to_scan", "20000");
	write_text("/sys/kernel/mm/ksm/run", "1");
	for (int i = 0; i < 40 && read_number("/sys/kernel/mm/ksm/pages_shared") < 1; i++)
		usleep(100000);
	write_text("/sys/kernel/mm/ksm/run", "0");
}

static void write_file(const char *path, size_t size)
{
	static unsigned char buf[65536];
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	fill(buf, sizeof(buf));
	for (size_t done = 0; fd >= 0 && done < size; done += sizeof(buf)) {
		if (write(fd, buf, sizeof(buf)) < 0)
			break;
	}
	if (fd >= 0)
		close(fd);
}

static void files(const char *dir)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/gone", dir);
	write_file(path, 16 * MIB);
	snprintf(path, sizeof(path), "%s/filled", dir);
	write_file(path, 8 * MIB);
	write_file("/filled", 4 * MIB);         /* the initramfs */
	/* a block device's pages go when nobody has it open any more */
	if (open("/dev/ram0", O_RDONLY) >= 0)
		write_file("/dev/ram0", 4 * MIB);
	/* inodes and directory entries; half of them go */
	for (int i = 0; i < FILES; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/%d", dir, i);
		fd = open(path, O_WRONLY | O_CREAT, 0600);
		if (fd >= 0)
			close(fd);
		if (i % 2)
			unlink(path);
	}
	snprintf(path, sizeof(path), "%s/gone", dir);
	unlink(path);
}

/* Memory that is bad; from 6.12 on this kills whoever has it. */
static void bad_memory(void)
{
	pid_t child = fork();

	if (!child) {
		unsigned char *p = fill(anonymous(MIB, 0), MIB);

		if (madvise(p + MIB / 2, (size_t)getpagesize(), MADV_HWPOISON))
			printf("no memory is bad: %s\n", strerror(errno));
		exit(0);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

static void freed_memory(void)
{
	unsigned char *p = anonymous(48 * MIB, 0);

	if (p)
		munmap(fill(p, 48 * MIB), 48 * MIB);
}

static size_t huge_page_size(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	size_t kb = 2048;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Hugepagesize: %zu kB", &kb) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kb << 10;
}

/* What is counted, by the kernel's include/uapi/linux/kernel-page-flags.h */
static const struct { const char *name; int bit; } kinds[] = {
	{ "lru", 5 }, { "slab", 7 }, { "buddy", 10 }, { "anon", 12 }, { "huge", 17 },
	{ "hwpoison", 19 }, { "ksm", 21 }, { "thp", 22 }, { "offline", 23 },
	{ "private", 35 },
};

/* What the kernel says of RAM's pages from @first on, into one page. */
static size_t copy_page(struct copy *copy, int fd, size_t first, size_t page)
{
	/* spelled out in these pages only, not in the program's own file */
	static const char magic[32] = "QBHFGMBHT.DPQZ.PG.B.DPVOU";
	const size_t size = (page - sizeof(*copy)) & ~(size_t)7;
	const ssize_t n = pread(fd, copy->flags, size, (off_t)(8 * first));

	copy->page_size = page;
	copy->first = first;
	copy->num = n > 0 ? (size_t)n / 8 : 0;
	copy->last = n < (ssize_t)size;
	for (size_t k = 0; magic[k]; k++)
		copy->magic[k] = (char)(magic[k] - (magic[k] >= 'A'));
	return copy->num;
}

/* Copy what the kernel says of all its pages, into @size bytes at most. */
static void copy_flags(size_t size)
{
	const size_t page = (size_t)getpagesize();
	unsigned char *memory = anonymous(size, 0);
	size_t counts[sizeof(kinds) / sizeof(kinds[0])] = { 0 }, first = 0, n;
	int fd = open("/proc/kpageflags", O_RDONLY);

	if (!memory || madvise(memory, size, MADV_NOHUGEPAGE) || mlock(memory, size) || fd < 0)
		die("/proc/kpageflags");
	for (size_t i = 0; i < size / page; i++) {
		struct copy *copy = (struct copy *)(void *)(memory + i * page);

		n = copy_page(copy, fd, first, page);
		first += n;
		for (size_t j = 0; j < n; j++) {
			for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
				counts[k] += copy->flags[j] >> kinds[k].bit & 1;
		}
		if (copy->last)
			break;
	}
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		printf("%s %zu\n", kinds[k].name, counts[k]);
}

int main(int argc, char **argv)
{
	int ready[2];
	char byte = 0;

	if (argc != 2 || pipe(ready))
		return 1;
	/* whoever started us goes on as soon as all is there */
	if (fork()) {
		close(ready[1]);
		return read(ready[0], &byte, 1) != 1;
	}
	setsid();
	small_pages();
	huge_pages(huge_page_size());
	merged_pages();
	files(argv[1]);
	bad_memory();
	freed_memory();
	/* free pages that wait for their CPU to take them again become plain free ones */
	write_text("/proc/sys/vm/compact_memory", "1");
	/* RAM may begin at 2 GiB */
	copy_flags(((size_t)3 << 30) / (size_t)getpagesize() * 9);
	fflush(stdout);
	if (write(ready[1], &byte, 1) != 1)
		return 1;
	for (;;)
		pause();
}
