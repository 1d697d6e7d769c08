/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kvm_protected.h - dump a protected s390x guest from inside its VMM
 *
 * KVM lets only the process that created the VM ask the Ultravisor for a dump.  The order
 * is: begin (INIT, then each CPU), read memory, states (in pieces), complete; and end in
 * any case, or else the guest can never run again.  Between begin and end no CPU of the
 * guest can run.  Only capture_lose() may be called from many threads at once.
 */
#pragma once

#include "kvm.h"

struct capture;

/* The guest; the descriptors and arrays must outlive the capture. */
struct capture_guest {
	kvm_ioctl_fn *ioctl;
	int vm_fd;
	const int *vcpu_fds;
	size_t num_cpus;
	const struct image *image;      /* ranges, and notes of what the host sees */
	gdump_warn_fn *warn;
	void *warn_arg;
};

/* Check that this host can dump the guest, and get the sizes of the parts.  The guest is not
 * changed.
 */
MUST_CHECK struct gdump_error *capture_open(const struct capture_guest *guest,
					    struct capture **ret);
void capture_close(struct capture *c);

/* Begin a dump.  If this fails, the guest is unchanged.  @image: the image to write, with the
 * encrypted registers of the CPUs; it is valid until the capture is closed.
 */
MUST_CHECK struct gdump_error *capture_begin(struct capture *c, const struct image **image);
/* The states of the pages: bytes [off, off + len) of pv_mem_meta, in file order */
uint64_t capture_states_size(const struct capture *c);
MUST_CHECK struct gdump_error *capture_states(struct capture *c, uint64_t off, void *buf,
					      size_t len);
/* The page at @paddr could not be read: mark its state as invalid. */
void capture_lose(struct capture *c, uint64_t paddr);
/* Get the completion data, all at once.  After that the guest can run. */
size_t capture_complete_size(const struct capture *c);
MUST_CHECK struct gdump_error *capture_complete(struct capture *c, void *buf);
/* Make sure that the guest can run; does nothing after capture_complete() succeeded.  After an
 * error the guest cannot run: retry.
 */
MUST_CHECK struct gdump_error *capture_end(struct capture *c);
/* Between begin and end */
bool capture_is_active(const struct capture *c);
