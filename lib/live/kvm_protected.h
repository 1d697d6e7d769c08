/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kvm_protected.h - the dump of a protected s390x guest, as its VMM may take it
 *
 * KVM lets only the process that has made the VM ask the Ultravisor for a dump.  The
 * order is: begin (INIT, then each CPU), read memory, states (in pieces), complete; and
 * end, whatever happened, or else the guest can never run again.  Between begin and end
 * no CPU of the guest can run.  All is for one thread at a time but capture_lose().
 */
#pragma once

#include "kvm.h"

struct capture;

/* What it works on; the descriptors and arrays outlive the capture. */
struct capture_guest {
	kvm_ioctl_fn *ioctl;
	int vm_fd;
	const int *vcpu_fds;
	size_t num_cpus;
	const struct image *image;      /* ranges, and notes of what the host sees */
	gdump_warn_fn *warn;
	void *warn_arg;
};

/* Whether this host can do it, and how much it will give: nothing is changed yet. */
MUST_CHECK struct gdump_error *capture_open(const struct capture_guest *guest,
					    struct capture **ret);
void capture_close(struct capture *c);

/* Begin.  When it fails the guest is as before.  @image: what is to be written, with the
 * CPUs' encrypted registers, until the capture is closed.
 */
MUST_CHECK struct gdump_error *capture_begin(struct capture *c, const struct image **image);
/* What is known of the pages of [off, off + len) of pv_mem_meta: in file order */
uint64_t capture_states_size(const struct capture *c);
MUST_CHECK struct gdump_error *capture_states(struct capture *c, uint64_t off, void *buf,
					      size_t len);
/* The page at @paddr could not be read: what is told of it will be invalid.  From any
 * thread.
 */
void capture_lose(struct capture *c, uint64_t paddr);
/* The completion data: all of them at once.  After it the guest can run. */
size_t capture_complete_size(const struct capture *c);
MUST_CHECK struct gdump_error *capture_complete(struct capture *c, void *buf);
/* See to it that the guest can run; does nothing after success of the former.  On error
 * it cannot: trying again makes sense.
 */
MUST_CHECK struct gdump_error *capture_end(struct capture *c);
/* Between begin and end */
bool capture_is_active(const struct capture *c);
