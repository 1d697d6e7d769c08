/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * live.h - running guests
 */
#pragma once

#include "../machine/source.h"
#include "kvm.h"

/* QEMU by its QMP socket @path.  @opt is never NULL. */
MUST_CHECK struct gdump_error *qemu_open(const char *path, const struct gdump_open_options *opt,
					 struct source **ret);
/* A guest of this process.  @desc is complete, and needed during the call only. */
MUST_CHECK struct gdump_error *embed_open(const struct gdump_guest *desc,
					  const struct gdump_open_options *opt,
					  kvm_ioctl_fn *ioctl, struct source **ret);
