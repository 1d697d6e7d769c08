/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_host_memory.c - how much more memory a process can have, by files that we made
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "live/host_memory.h"

enum { PID = 100 };

static const uint64_t mib = 1 << 20;
static char root[] = "/tmp/gd.XXXXXX";

static void put(const char *name, const char *text)
{
	char path[300];
	FILE *f;

	for (const char *slash = name; (slash = strchr(slash + 1, '/'));) {
		snprintf(path, sizeof(path), "%s%.*s", root, (int)(slash - name), name);
		mkdir(path, 0700);
	}
	snprintf(path, sizeof(path), "%s%s", root, name);
	f = fopen(path, "w");
	CHECK(f && fputs(text, f) >= 0 && !fclose(f));
}

static void check_host(uint64_t available, const char *group)
{
	struct host_memory m;

	host_memory_of(root, PID, &m);
	CHECK_INT(m.available, available);
	CHECK_STR(m.group, group);
}

static void test_versions(void)
{
	check_host(UINT64_MAX, "");
	put("/proc/meminfo", "MemTotal:       24605696 kB\nMemFree:        10240 kB\nMemAvailable:    4096 kB\n");
	check_host(4 * mib, "");

	/* version 2: the group above has less */
	put("/proc/100/cgroup", "0::/machine/vm\n");
	put("/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n");
	put("/sys/fs/cgroup/machine/vm/memory.max", "max\n");
	put("/sys/fs/cgroup/machine/vm/memory.current", "1048576\n");
	put("/sys/fs/cgroup/machine/memory.max", "4194304\n");
	put("/sys/fs/cgroup/machine/memory.current", "3145728\n");
	check_host(1 * mib, "/machine");
	put("/sys/fs/cgroup/machine/memory.stat", "anon 7\ninactive_file 1048576\nactive_file 1048576\n");
	check_host(3 * mib, "/machine");
	put("/sys/fs/cgroup/machine/vm/memory.max", "524288\n");
	check_host(0, "/machine/vm");

	/* a container, whose own group is the top one */
	put("/proc/self/mountinfo", "31 23 0:28 /machine /run/groups rw - cgroup2 cgroup2 rw\n");
	put("/run/groups/vm/memory.max", "2097152\n");
	put("/run/groups/vm/memory.current", "1048576\n");
	check_host(1 * mib, "/machine/vm");
	put("/proc/100/cgroup", "0::/machines\n");
	check_host(4 * mib, "");
	put("/proc/100/cgroup", "0::/../vm\n");
	check_host(4 * mib, "");

	/* version 1, beside an empty version 2 */
	put("/proc/100/cgroup", "9:name=systemd:/x\n4:memory:/vms/vm\n0::/\n");
	put("/proc/self/mountinfo",
	    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
	    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:3 - cgroup cgroup rw,memory\n"
	    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "5\n");
	put("/sys/fs/cgroup/memory/vms/memory.limit_in_bytes", "9223372036854771712\n");
	put("/sys/fs/cgroup/memory/vms/vm/memory.limit_in_bytes", "3145728\n");
	put("/sys/fs/cgroup/memory/vms/vm/memory.usage_in_bytes", "2097152\n");
	check_host(1 * mib, "/vms/vm");
	put("/sys/fs/cgroup/memory/vms/vm/memory.stat", "cache 9\ntotal_inactive_file 524288\ntotal_active_file 0\n");
	check_host(3 * mib / 2, "/vms/vm");
}

static void test_check(void)
{
	struct host_memory m = { .available = 3 * mib };

	CHECK_OK(host_memory_check(&m, 3 * mib));
	CHECK_ERR(host_memory_check(&m, 5 * mib), GDUMP_ERR_REMOTE,
		  "5 MiB that the guest has never used, and the host has 3 MiB");
	strcpy(m.group, "/vm");
	CHECK_ERR(host_memory_check(&m, 5 * mib), GDUMP_ERR_REMOTE, "its control group /vm has 3 MiB");
}

int main(void)
{
	char command[64];

	CHECK(mkdtemp(root));
	test_versions();
	test_check();
	/* whatever it is here */
	printf("reading allocates: %d\n", host_memory_reading_allocates());
	snprintf(command, sizeof(command), "rm -r %s", root);
	CHECK_INT(system(command), 0);
	return check_done();
}
