/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kvm_vcpus.c - the CPUs that another process has of KVM, and their registers
 *
 * KVM refuses calls from other processes than the one that made the virtual machine, but it lets us
 * map the struct kvm_run of a CPU through a copy of its descriptor.  There we ask KVM to store the
 * registers whenever the CPU leaves KVM_RUN ("sync regs", see KVM_CAP_SYNC_REGS in KVM's api.rst),
 * which all CPUs do when the process is stopped.
 */
#include "kvm_vcpus.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../util/array.h"
#include "../util/cleanup.h"
#include "kvm.h"
#include "rights.h"

enum { MAX_CPUS = 1 << 14 };

static struct gdump_error *vcpus_take_link(struct kvm_vcpus *v, int fd, const char *link)
{
	unsigned int id;

	v->num_vms += !strcmp(link, "anon_inode:kvm-vm");
	if (sscanf(link, "anon_inode:kvm-vcpu:%u", &id) != 1)
		return NULL;
	if (v->num == MAX_CPUS || !ARRAY_GROW(v->list, v->num))
		return error_nomem();
	v->list[v->num++] = (struct kvm_vcpu){ .id = id, .fd = fd };
	return NULL;
}

static int vcpus_by_id(const void *a, const void *b)
{
	const struct kvm_vcpu *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* Look at all descriptors of the process. */
static struct gdump_error *vcpus_find(pid_t pid, struct kvm_vcpus *v)
{
	struct gdump_error *err = NULL;
	char path[40], link[64];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return rights_explain(pid, errno);
	while (!err && (entry = readdir(dir))) {
		const ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

		if (n <= 0)
			continue;
		link[n] = '\0';
		err = vcpus_take_link(v, (int)strtol(entry->d_name, NULL, 10), link);
	}
	closedir(dir);
	if (v->num)
		qsort(v->list, v->num, sizeof(*v->list), vcpus_by_id);
	return err;
}

/* Map the struct kvm_run of each CPU. */
static struct gdump_error *vcpus_map(pid_t pid, struct kvm_vcpus *v)
{
	CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (!kvm_sync)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "KVM does not give registers to other processes on this machine");
	if (pidfd < 0)
		return error_os(errno, "cannot open process %d (pidfd_open)", (int)pid);
	for (size_t i = 0; i < v->num; i++) {
		CLEANUP_FD int fd = (int)syscall(SYS_pidfd_getfd, pidfd, v->list[i].fd, 0);
		void *run;

		if (fd < 0)
			return error_os(errno, "cannot copy a descriptor of process %d (pidfd_getfd)",
					(int)pid);
		run = mmap(NULL, kvm_sync->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (run == MAP_FAILED)
			return error_os(errno, "cannot map the state of CPU %zu", i);
		v->list[i].run = run;
	}
	return NULL;
}

struct gdump_error *kvm_vcpus_open(pid_t pid, struct kvm_vcpus *ret, struct gdump_error **why)
{
	struct gdump_error *err;

	*ret = (struct kvm_vcpus){ 0 };
	*why = NULL;
	err = vcpus_find(pid, ret);
	if (!err)
		*why = vcpus_map(pid, ret);
	return err;
}

void kvm_vcpus_deinit(struct kvm_vcpus *v)
{
	for (size_t i = 0; i < v->num; i++) {
		if (v->list[i].run)
			munmap(v->list[i].run, kvm_sync->size);
	}
	free(v->list);
	*v = (struct kvm_vcpus){ 0 };
}

void kvm_vcpus_begin_sync(struct kvm_vcpus *v)
{
	for (size_t i = 0; i < v->num; i++) {
		if (v->list[i].run)
			v->list[i].before = kvm_sync->request(v->list[i].run);
	}
}

void kvm_vcpus_end_sync(struct kvm_vcpus *v)
{
	for (size_t i = 0; i < v->num; i++) {
		if (v->list[i].run)
			kvm_sync->end(v->list[i].run, v->list[i].before);
	}
}

static bool vcpus_is_stored(const struct kvm_vcpu *c)
{
	return c->run && kvm_sync->is_stored(c->run);
}

size_t kvm_vcpus_stored(const struct kvm_vcpus *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->num; i++)
		n += vcpus_is_stored(&v->list[i]);
	return n;
}

struct gdump_error *kvm_vcpus_add_notes(const struct kvm_vcpus *v, struct image *image)
{
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < v->num; i++) {
		if (v->list[i].run)
			err = kvm_sync->add_notes(v->list[i].run, i, image);
		image->num_lost_cpus += !vcpus_is_stored(&v->list[i]);
	}
	return err;
}
