/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_stream.h - reading the guest's memory out of a dump that QEMU writes into a pipe
 *
 * These are members of source_ops and of struct qemu_way, for the ways that read such a
 * dump; source_read() sees to it that one thread at a time is in qemu_stream_read().
 */
#pragma once

#include "qemu_guest.h"

/* qemu_way.begin: also takes out of the memory map what QEMU does not dump. */
struct gdump_error *qemu_stream_begin(struct qemu *qemu);
/* qemu_way.end: end the dump that is under way, if any. */
struct gdump_error *qemu_stream_end(struct qemu *qemu);
/* source_ops.read */
struct gdump_error *qemu_stream_read(struct source *s, uint64_t paddr, void *buf, size_t len);
/* Bytes of the dump from @off on, which is not after the pipe's place */
MUST_CHECK struct gdump_error *qemu_stream_bytes(struct qemu *qemu, uint64_t off, void *buf,
						 size_t len);
