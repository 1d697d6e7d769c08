/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_direct.h - reading the guest's memory in QEMU's process
 *
 * These are members of source_ops and of struct qemu_way, for the ways that read the
 * process; those of source_ops may be called from many threads at once.
 */
#pragma once

#include "qemu_guest.h"

/* Find the guest's memory in QEMU's process and open it: qemu->mem, and the addresses in
 * qemu->map.  GDUMP_ERR_OS or GDUMP_ERR_NODATA if it cannot be read from here.
 */
MUST_CHECK struct gdump_error *direct_attach(struct qemu *qemu);
/* Close it again. */
void direct_detach(struct qemu *qemu);

/* qemu_way.begin.  GDUMP_ERR_NODATA if the process does not have the guest's memory where
 * it should be.
 */
struct gdump_error *direct_begin(struct qemu *qemu);

/* guest_ops.pause: pause a guest that ran until now.  What is known of its memory is still
 * right, or else it is an error; its registers are read again.
 */
struct gdump_error *direct_pause(struct source *s);
struct gdump_error *direct_read(struct source *s, uint64_t paddr, void *buf, size_t len);
struct gdump_error *direct_scan(struct source *s, uint64_t pfn, size_t num,
				unsigned char *state, bool holes);
const void *direct_borrow(struct source *s, uint64_t paddr, size_t len);
