/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * host_kernel.h - reading the memory and the types of the kernel of this host
 *
 * One thread at a time.
 */
#pragma once

#include "../kernel/btf.h"

struct host_kernel;

/* NULL, or why host_kernel_open() cannot open the kernel's memory. */
MUST_CHECK struct gdump_error *host_kernel_may_read(void);
/* Open it for what @module ("kvm"), which may also be built in, has in memory.  GDUMP_ERR_OS: we may
 * not; the message says which right is missing.  GDUMP_ERR_UNSUPPORTED: this kernel does not
 * describe its types.
 */
MUST_CHECK struct gdump_error *host_kernel_open(const char *module, struct host_kernel **ret);
void host_kernel_close(struct host_kernel *h);

/* The types of the module and of the kernel */
const struct btf *host_kernel_types(const struct host_kernel *h);
/* The address of @name, which only one file of the kernel defines. */
MUST_CHECK struct gdump_error *host_kernel_symbol(const char *name, uint64_t *ret);
/* Copy [vaddr, vaddr + len) of the kernel to @buf. */
MUST_CHECK struct gdump_error *host_kernel_read(const struct host_kernel *h, uint64_t vaddr,
						void *buf, size_t len);

static inline void host_kernel_cleanup(struct host_kernel **h)
{
	host_kernel_close(*h);
}
#define CLEANUP_HOST_KERNEL __attribute__((__cleanup__(host_kernel_cleanup)))
