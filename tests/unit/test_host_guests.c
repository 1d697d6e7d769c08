/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_host_guests.c - guests are found in a /proc that we made
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "live/host_guests.h"

/* processes that no kernel has */
enum { FIRST_PID = 5000000, NUM_GUESTS = 200, NUM_OTHERS = 100, NUM_FDS = 12, LIMIT_MS = 100 };

static char root[] = "/tmp/gd.XXXXXX";
static FILE *sockets;

static void make_dir(const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "%s%s", root, name);
	CHECK(!mkdir(path, 0700));
}

static void put(int pid, const char *name, const char *text, size_t len)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/%d/%s", root, pid, name);
	f = fopen(path, "w");
	CHECK(f && fwrite(text, 1, len, f) == len && !fclose(f));
}

static void link_to(int pid, const char *name, const char *target)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/proc/%d/%s", root, pid, name);
	CHECK(!symlink(target, path));
}

static void add_fd(int pid, int fd, const char *target)
{
	char name[24];

	snprintf(name, sizeof(name), "fd/%d", fd);
	link_to(pid, name, target);
}

static void add_process(int pid, const char *exe, const char *cmdline, size_t len)
{
	char name[40];

	snprintf(name, sizeof(name), "/proc/%d", pid);
	make_dir(name);
	snprintf(name, sizeof(name), "/proc/%d/fd", pid);
	make_dir(name);
	put(pid, "cmdline", cmdline, len);
	if (*exe)
		link_to(pid, "exe", exe);
	for (int fd = 0; fd < NUM_FDS; fd++)
		add_fd(pid, fd, "/dev/null");
}
#define ADD_PROCESS(pid, exe, cmdline) add_process(pid, exe, cmdline, sizeof(cmdline))

static void add_socket(uint64_t inode, bool listens, const char *path)
{
	fprintf(sockets, "0000000000000000: 00000002 00000000 %08x 0001 %02x %5llu %s\n",
		listens ? 0x10000 : 0, listens ? 1 : 3, (unsigned long long)inode, path);
}

static void add_many(void)
{
	char text[300], path[100];

	for (int i = 0; i < NUM_GUESTS; i++) {
		const int pid = FIRST_PID + i;
		int len;

		snprintf(path, sizeof(path), "/run/gd-nowhere/%d.qmp", i);
		len = snprintf(text, sizeof(text), "qemu-system-x86_64%c-name%cguest=vm%d,debug-threads=on%c-m%c2G%c"
			       "-smp%c2%c-qmp%cunix:%s,server=on,wait=off%c", 0, 0, i, 0, 0, 0, 0, 0, 0, path, 0);
		add_process(pid, "/usr/bin/qemu-system-x86_64", text, (size_t)len);
		add_fd(pid, NUM_FDS, "anon_inode:kvm-vm");
		add_fd(pid, NUM_FDS + 1, "anon_inode:kvm-vcpu:0");
		add_socket(10000 + (uint64_t)i, true, path);
	}
	for (int i = 0; i < NUM_OTHERS; i++)
		ADD_PROCESS(FIRST_PID + NUM_GUESTS + i, "/usr/bin/cat", "cat\0-m\0" "1");
}

static void add_special(void)
{
	ADD_PROCESS(6000000, "/usr/bin/qemu-system-aarch64 (deleted)",
		    "qemu-system-aarch64\0-name\0web,,1\0-m\0size=1048576k,slots=2\0-smp\0sockets=2,cores=3\0"
		    "-uuid\0" "6a0ef53c-1111-2222-3333-444455556666\0"
		    "-chardev\0socket,id=mon,fd=7,server=on\0-mon\0chardev=mon,id=monitor,mode=control");
	put(6000000, "stat", "6000000 (a) R) T 1 1", 20);
	add_socket(77, true, "/var/lib/libvirt/qemu/monitor.sock");
	add_socket(78, false, "/var/lib/libvirt/qemu/monitor.sock");
	ADD_PROCESS(6000001, "/jail/firecracker-v1.9", "firecracker\0--id\0fc7\0--api-sock\0/run/api");
	add_fd(6000001, NUM_FDS, "anon_inode:kvm-vm");
	ADD_PROCESS(6000002, "/usr/bin/cloud-hypervisor", "cloud-hypervisor\0--cpus\0boot=3,max=4\0--memory\0size=512M");
	add_fd(6000002, NUM_FDS, "anon_inode:kvm-vm");
	ADD_PROCESS(6000003, "/usr/bin/lkvm", "lkvm\0run\0-m\0" "192\0-c\0" "2\0--name=kt");
	add_fd(6000003, NUM_FDS, "anon_inode:kvm-vm");
	ADD_PROCESS(6000004, "/usr/bin/crosvm", "crosvm\0run\0--mem\0size=256\0--cpus\0num-cores=5");
	add_fd(6000004, NUM_FDS, "anon_inode:kvm-vm");
	ADD_PROCESS(6000005, "/opt/tinyvmm", "tinyvmm");
	add_fd(6000005, NUM_FDS, "anon_inode:kvm-vm");
	/* no guests */
	ADD_PROCESS(6000006, "/usr/bin/qemu-system-x86_64", "qemu-system-x86_64\0--version");
	ADD_PROCESS(6000007, "/usr/bin/crosvm", "crosvm\0stop\0x");
	ADD_PROCESS(6000008, "/usr/bin/qemu-img", "qemu-img\0info\0x");
	add_process(6000009, "/usr/bin/qemu-system-x86_64", "", 0);
	/* the file of its process cannot be seen */
	ADD_PROCESS(6000010, "", "/usr/bin/kvm\0-id\0" "100\0-name\0db,debug-threads=on");
}

struct seen {
	size_t num;
	struct gdump_host_guest all[NUM_GUESTS + 20];
	char names[NUM_GUESTS + 20][40], missing[NUM_GUESTS + 20][200];
	bool by_process[NUM_GUESTS + 20];
};

static void note(void *arg, const struct gdump_host_guest *g)
{
	struct seen *seen = arg;

	if (seen->num == sizeof(seen->all) / sizeof(*seen->all))
		return;
	seen->all[seen->num] = *g;
	snprintf(seen->names[seen->num], 40, "%s", g->name ? g->name : "");
	for (size_t i = 0; i < g->num_ways; i++) {
		if (g->ways[i].missing && !strncmp(g->ways[i].name, "qmp:", 4))
			snprintf(seen->missing[seen->num], 200, "%s %s", g->ways[i].name,
				 g->ways[i].missing);
		seen->by_process[seen->num] |= g->ways[i].works && !strncmp(g->ways[i].name, "pid:", 4);
	}
	seen->num++;
}

static size_t find(const struct seen *seen, int pid)
{
	for (size_t i = 0; i < seen->num; i++) {
		if (seen->all[i].pid == pid)
			return i;
	}
	fprintf(stderr, "process %d was not found\n", pid);
	check_failed = 1;
	return 0;
}

static void check_guest(const struct seen *seen, int pid, const char *name, enum gdump_guest_kind kind,
			uint64_t mib, uint32_t cpus)
{
	const size_t i = find(seen, pid);
	const struct gdump_host_guest *g = &seen->all[i];

	CHECK_STR(seen->names[i], name);
	CHECK_INT(g->kind, kind);
	CHECK_INT(g->memory >> 20, mib);
	CHECK_INT(g->num_cpus, cpus);
}

static void check_all(const struct seen *seen)
{
	size_t i = find(seen, 6000000);

	CHECK_INT(seen->num, NUM_GUESTS + 7);
	check_guest(seen, FIRST_PID + 7, "vm7", GDUMP_GUEST_QEMU, 2048, 1);
	CHECK(seen->all[find(seen, FIRST_PID + 7)].kvm);
	CHECK(strstr(seen->missing[find(seen, FIRST_PID + 7)],
		     "qmp:/run/gd-nowhere/7.qmp cannot connect to the socket: No such file"));
	check_guest(seen, 6000000, "web,1", GDUMP_GUEST_QEMU, 1024, 6);
	CHECK_INT(seen->all[i].state, GDUMP_GUEST_PAUSED);
	CHECK(!seen->all[i].kvm && !seen->by_process[i]);
	CHECK(strstr(seen->missing[i], "qmp:/var/lib/libvirt/qemu/monitor.sock another process"));
	check_guest(seen, 6000001, "fc7", GDUMP_GUEST_FIRECRACKER, 0, 0);
	CHECK_INT(seen->all[find(seen, 6000001)].num_ways, 1);
	check_guest(seen, 6000002, "", GDUMP_GUEST_CLOUD_HYPERVISOR, 512, 3);
	check_guest(seen, 6000003, "kt", GDUMP_GUEST_KVMTOOL, 192, 2);
	check_guest(seen, 6000004, "", GDUMP_GUEST_CROSVM, 256, 5);
	check_guest(seen, 6000005, "", GDUMP_GUEST_OTHER, 0, 0);
	check_guest(seen, 6000010, "db", GDUMP_GUEST_QEMU, 128, 1);
}

static void check_items(void)
{
	char text[8];

	CHECK(vmm_item("a=1,b=2,,3,c", "b", NULL, text, sizeof(text)) && !strcmp(text, "2,3"));
	CHECK(vmm_item("on,b=2", "x", "x", text, sizeof(text)) && !strcmp(text, "on"));
	CHECK(!vmm_item("bb=1", "b", NULL, text, sizeof(text)));
	CHECK(!vmm_item("b=12345678", "b", NULL, text, sizeof(text)));
	CHECK(!vmm_item("", "b", NULL, text, sizeof(text)));
}

/* CPU time of this process, in milliseconds */
static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int main(void)
{
	static const struct gdump_guests_options opt = { .size = sizeof(opt) };
	static struct seen seen;
	char command[100];
	double ms;

	CHECK(mkdtemp(root));
	make_dir("/proc");
	make_dir("/proc/net");
	snprintf(command, sizeof(command), "%s/proc/net/unix", root);
	sockets = fopen(command, "w");
	CHECK(sockets);
	fputs("Num       RefCount Protocol Flags    Type St Inode Path\n", sockets);
	add_many();
	add_special();
	snprintf(command, sizeof(command), "%s/proc/6000000/fd/7", root);
	unlink(command);
	link_to(6000000, "fd/7", "socket:[77]");
	CHECK(!fclose(sockets));
	ms = cpu_ms();
	CHECK_OK(host_guests_each(root, &opt, note, &seen));
	ms = cpu_ms() - ms;
	printf("%d guests among %d processes: %.1f ms of CPU time\n", NUM_GUESTS, NUM_GUESTS + NUM_OTHERS, ms);
	check_all(&seen);
	check_items();
#ifndef __SANITIZE_ADDRESS__
	CHECK(ms < LIMIT_MS);
#endif
	snprintf(command, sizeof(command), "rm -rf %s", root);
	CHECK(!system(command));
	return check_done();
}
