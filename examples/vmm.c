/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * vmm.c - how a VMM dumps its own guest; tinyvmm.c is a complete VMM
 */
#include <guestdump.h>

struct vmm {
	int vcpus[2];                   /* KVM file descriptors                 */
	void *low, *high;               /* the guest's memory                   */
};

/* Bring the CPUs out of KVM_RUN and stop writes to guest memory; and the reverse. */
int vmm_pause(void *vmm);
int vmm_resume(void *vmm);
struct gdump_error *vmm_dump(struct vmm *vmm, const char *path);

struct gdump_error *vmm_dump(struct vmm *vmm, const char *path)
{
	const struct gdump_slot slots[] = {
		{ .paddr = 0, .size = 3ull << 30, .host = vmm->low },
		{ .paddr = 4ull << 30, .size = 5ull << 30, .host = vmm->high },
	};
	const struct gdump_guest desc = {
		.size = sizeof(desc), .slots = slots, .num_slots = 2,
		.vcpu_fds = vmm->vcpus, .num_cpus = 2,
		.pause = vmm_pause, .resume = vmm_resume, .arg = vmm,
	};
	const struct gdump_open_options open = { .size = sizeof(open), .pause_guest = true };
	const struct gdump_write_options write = {
		.size = sizeof(write), .format = "kdump", .resume_guest = true,
	};
	struct gdump_error *err;
	struct gdump *g;

	err = gdump_open_guest(&desc, &open, &g);
	if (err)
		return err;
	err = gdump_write(g, NULL, path, &write);
	gdump_close(g);                 /* resumes the guest if it is still paused */
	return err;
}
