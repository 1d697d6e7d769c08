/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_indirect.c - a guest of QEMU whose memory only QEMU itself may read
 *
 * While the memory of a paused guest is written to a file, it is read in ascending order, and
 * a dump of QEMU's is the fastest way.  All else that is read is little and in any order.
 */
#include "qemu_peek.h"
#include "qemu_stream.h"
#include "qemu_way.h"

static struct gdump_error *indirect_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	return s->in_order && !s->is_mutable ? qemu_stream_read(s, paddr, buf, len)
					     : qemu_peek_read(s, paddr, buf, len);
}

static const struct source_ops indirect_ops = {
	.name = "qmp",
	.order = READ_ASCENDING,
	.read = indirect_read,
	.guest = &qemu_guest_ops,
	.close = qemu_close,
};

const struct qemu_way qemu_way_indirect = {
	.name = "a dump that QEMU writes",
	.ops = &indirect_ops,
	.begin = qemu_stream_begin,
	.end = qemu_stream_end,
	.close = qemu_peek_close,
};
