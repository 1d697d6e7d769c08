/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * vmm PLAIN OUTPUT - a VMM, as far as it takes, with a protected s390x guest
 *
 * Dumps its guest to PLAIN, protects it, dumps it to OUTPUT as a job, and then lets its
 * CPUs run.  The exit status is 0, the code of the library's error, or 100: a CPU could
 * not run.
 */
#include <elf.h>
#include <fcntl.h>
#include <guestdump.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MIB = 1 << 20, CPUS = 2 };

static int vm, cpus[CPUS], stops;
static struct gdump_slot slots[2] = {
	{ .paddr = 16 * MIB, .size = 3 * MIB }, { .paddr = 64 * MIB, .size = MIB },
};

static int vmm_pause(void *arg)
{
	(void)arg;
	stops++;
	return 0;
}

static int vmm_resume(void *arg)
{
	(void)arg;
	stops--;
	return 0;
}

static int vmm_notes(void *arg, size_t cpu, struct gdump_notes *to)
{
	unsigned char prstatus[336] = { 0 };

	(void)arg;
	prstatus[35] = (unsigned char)(cpu + 1);
	gdump_note_add(to, "CORE", NT_PRSTATUS, prstatus, sizeof(prstatus));
	return 0;
}

static void warn(void *arg, const char *message)
{
	(void)arg;
	fprintf(stderr, "vmm: warning: %s\n", message);
}

static void make_guest(void)
{
	const int kvm = open("/dev/null", O_RDWR | O_CLOEXEC);

	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	for (int i = 0; i < 2; i++) {
		unsigned char *p = mmap(NULL, slots[i].size, PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		struct kvm_userspace_memory_region r = {
			.slot = (uint32_t)i, .guest_phys_addr = slots[i].paddr,
			.memory_size = slots[i].size, .userspace_addr = (uintptr_t)p,
		};

		for (size_t k = 0; k < slots[i].size; k++)
			p[k] = k / 4096 % 4 ? (unsigned char)(k * 7 + k / 4096) : 0;
		slots[i].host = p;
		if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &r))
			exit(101);
	}
	for (int i = 0; i < CPUS; i++)
		cpus[i] = ioctl(vm, KVM_CREATE_VCPU, i);
	close(kvm);
}

static struct gdump_error *dump(const char *path, uint32_t memory)
{
	const struct gdump_guest desc = {
		.size = sizeof(desc), .arch = "s390x", .slots = slots, .num_slots = 2,
		.num_cpus = CPUS, .vcpu_fds = cpus, .vm_fd = vm, .memory = memory,
		.pause = vmm_pause, .resume = vmm_resume, .notes = vmm_notes,
	};
	const struct gdump_open_options open = { .size = sizeof(open), .pause_guest = true,
						 .warn = warn };
	const struct gdump_write_options write = { .size = sizeof(write), .format = "elf",
						   .resume_guest = true };
	const struct gdump_job_options opt = { .size = sizeof(opt), .path = path, .write = &write };
	struct gdump_job *job = NULL;
	struct gdump *g = NULL;
	struct gdump_error *err = gdump_open_guest(&desc, &open, &g);

	if (!err)
		err = gdump_job_start(g, &opt, &job);
	if (!err)
		err = gdump_job_wait(job);
	gdump_close(g);
	return err;
}

int main(int argc, char **argv)
{
	struct kvm_pv_cmd enable = { .cmd = KVM_PV_ENABLE };
	struct gdump_error *err;
	int code = 0;

	if (argc != 3)
		return 102;
	make_guest();
	err = dump(argv[1], GDUMP_MEMORY_PLAIN);
	if (!err && ioctl(vm, KVM_S390_PV_COMMAND, &enable))
		return 103;
	if (!err)
		err = dump(argv[2], GDUMP_MEMORY_S390_PV);
	if (err) {
		fprintf(stderr, "vmm: %s\n", gdump_error_message(err));
		code = (int)gdump_error_code(err);
	}
	gdump_error_destroy(err);
	for (int i = 0; i < CPUS; i++) {
		if (stops || ioctl(cpus[i], KVM_RUN, 0))
			return 100;
	}
	return code;
}
