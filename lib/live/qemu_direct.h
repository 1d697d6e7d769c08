/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu_direct.h - a guest of QEMU whose memory we read from QEMU's process
 */
#pragma once

#include "qemu.h"

/* Find the guest's memory in QEMU's process. */
MUST_CHECK struct gdump_error *qemu_attach(struct qemu *qemu);
/* source_ops.read of it */
struct gdump_error *qemu_read(struct source *s, uint64_t paddr, void *buf, size_t len);

/* A guest that is paused or not meant to be, and one that is pushed */
extern const struct source_ops qemu_ops, qemu_live_ops;
