/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * host_memory.c - how much more memory a process can have
 *
 * Facts: the kernel's Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.  Each
 * group on the way from that of the process up to the top has a limit of its own.  Page cache
 * counts towards the limit, but the kernel drops it when the limit is reached.
 */
#include "host_memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

static const uint64_t no_limit = (uint64_t)1 << 62;     /* version 1 has no word for it */

/* The names of files of a control group: what differs between the two versions */
static const struct group_files {
	const char *fs_type;            /* in mountinfo                         */
	const char *option;             /* of the mount; NULL: any              */
	const char *controllers;        /* the field of /proc/PID/cgroup        */
	const char *limit, *usage;
	const char *cache[2];           /* lines of memory.stat                 */
} versions[] = {
	{ "cgroup2", NULL, "", "memory.max", "memory.current",
	  { "inactive_file", "active_file" } },
	{ "cgroup", "memory", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
	  { "total_inactive_file", "total_active_file" } },
};

/* The number at the start of file @dir/@name, or after @key and blanks in one of its lines; false:
 * there is none.
 */
static bool host_read_number(const char *dir, const char *name, const char *key, uint64_t *ret)
{
	char path[PATH_MAX], line[128];
	const size_t len = key ? strlen(key) : 0;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		if (!key || (!strncmp(line, key, len) && strchr(" :", line[len])))
			found = sscanf(line + len, "%*[: ]%" SCNu64, ret) == 1 ||
				sscanf(line + len, "%" SCNu64, ret) == 1;
	}
	if (f)
		fclose(f);
	return found;
}

static void host_limit(struct host_memory *m, uint64_t available, const char *group)
{
	if (available >= m->available)
		return;
	m->available = available;
	snprintf(m->group, sizeof(m->group), "%.255s", group);
}

/* What the group in @dir still allows, if it has a limit.  @group: its name */
static void host_add_group(struct host_memory *m, const struct group_files *files, const char *dir,
			   const char *group)
{
	uint64_t limit, usage, cache;

	if (!host_read_number(dir, files->limit, NULL, &limit) || limit >= no_limit ||
	    !host_read_number(dir, files->usage, NULL, &usage))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(files->cache); i++) {
		if (host_read_number(dir, "memory.stat", files->cache[i], &cache))
			usage -= MIN(usage, cache);
	}
	host_limit(m, limit - MIN(limit, usage), group);
}

/* The group of the process, "/a/b"; false: it is in none of these, or we cannot see it. */
static bool host_find_group(const char *root, pid_t pid, const struct group_files *files,
			    char *group, size_t size)
{
	char path[PATH_MAX], line[PATH_MAX + 64], *names, *name;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/%d/cgroup", root, (int)pid);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		names = strchr(line, ':');
		name = names ? strchr(names + 1, ':') : NULL;
		if (!name)
			continue;
		*name++ = '\0';
		name[strcspn(name, "\n")] = '\0';
		/* a path that begins with /.. is outside of what is mounted for us */
		found = !strcmp(names + 1, files->controllers) && strncmp(name, "/..", 3);
		if (found)
			snprintf(group, size, "%s", name);
	}
	if (f)
		fclose(f);
	return found;
}

/* Whether @options, a list with commas, has @option */
static bool host_has_option(const char *options, const char *option)
{
	const size_t len = strlen(option);

	for (const char *p = options; (p = strstr(p, option)); p += len) {
		if ((p == options || p[-1] == ',') && strchr(",\n", p[len]))
			return true;
	}
	return false;
}

/* Where these groups are mounted, and which of them is the top one there */
static bool host_find_mount(const char *root, const struct group_files *files, char *top,
			    char *point)
{
	char path[PATH_MAX], line[2 * PATH_MAX], type[32], options[256];
	const char *dash;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", root);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		dash = strstr(line, " - ");
		found = dash && sscanf(dash, " - %31s %*s %255s", type, options) == 2 &&
			!strcmp(type, files->fs_type) &&
			(!files->option || host_has_option(options, files->option)) &&
			sscanf(line, "%*s %*s %*s %1023s %1023s", top, point) == 2;
	}
	if (f)
		fclose(f);
	return found;
}

/* Add the group of the process, and all above it. */
static void host_add_groups(struct host_memory *m, const char *root, pid_t pid,
			    const struct group_files *files)
{
	char group[1024], top[1024], point[1024], dir[4 * 1024], *slash;
	size_t skip;

	if (!host_find_group(root, pid, files, group, sizeof(group)) ||
	    !host_find_mount(root, files, top, point))
		return;
	skip = strcmp(top, "/") ? strlen(top) : 0;
	if (skip && (strncmp(group, top, skip) || !strchr("/", group[skip])))
		return;
	for (;;) {
		snprintf(dir, sizeof(dir), "%s%s%s", root, point, group + skip);
		host_add_group(m, files, dir, group);
		slash = strrchr(group + skip, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

void host_memory_of(const char *root, pid_t pid, struct host_memory *ret)
{
	char dir[PATH_MAX];
	uint64_t kib;

	*ret = (struct host_memory){ .available = UINT64_MAX };
	snprintf(dir, sizeof(dir), "%s/proc", root);
	if (host_read_number(dir, "meminfo", "MemAvailable", &kib) && kib < UINT64_MAX / 1024)
		host_limit(ret, kib * 1024, "");
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		host_add_groups(ret, root, pid, &versions[i]);
}

struct gdump_error *host_memory_check(const struct host_memory *m, uint64_t need)
{
	if (need <= m->available)
		return NULL;
	return error_new(GDUMP_ERR_REMOTE,
			 "the hypervisor would allocate %" PRIu64 " MiB that the guest has never used, and %s%s has %"
			 PRIu64 " MiB available", need >> 20,
			 m->group[0] ? "its control group " : "the host", m->group,
			 m->available >> 20);
}

static uint64_t host_resident(void)
{
	uint64_t pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%*u %" SCNu64, &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages;
}

bool host_memory_reading_allocates(void)
{
	enum { PAGES = 4096 };
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	volatile unsigned char *p = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t before = host_resident(), after;

	if (p == MAP_FAILED)
		return false;
	/* as QEMU does with a guest's memory */
	madvise((void *)(uintptr_t)p, PAGES * page, MADV_HUGEPAGE);
	for (size_t i = 0; i < PAGES; i++)
		(void)p[i * page];
	after = host_resident();
	munmap((void *)(uintptr_t)p, PAGES * page);
	return after > before + PAGES / 2;
}
