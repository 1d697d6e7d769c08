/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_peek.h - reading any memory of a guest through QEMU's monitor
 *
 * For one thread at a time, like the monitor itself. A read takes a fraction of a millisecond
 * or more, so that memory is read in large pieces, and the last ones are kept.
 */
#pragma once

#include "qemu_guest.h"

/* source_ops.read, in any order.  The guest keeps running if it does, but see qemu_peek.c. */
struct gdump_error *qemu_peek_read(struct source *s, uint64_t paddr, void *buf, size_t len);
/* Free what was kept, and take back what QEMU was given. */
void qemu_peek_close(struct qemu *qemu);
