/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layout.h - where a guest's memory is: in the guest, and in QEMU's process
 */
#pragma once

#include "qemu_dump.h"
#include "slots.h"

struct layout {
	char *mtree;                    /* the text that it was made from       */
	struct slot *slots;             /* ascending, not overlapping           */
	size_t num_slots;
};

/* Ask QEMU what memory the guest has.  @opt: for warnings. */
MUST_CHECK struct gdump_error *layout_read(struct qmp *q, const struct gdump_open_options *opt,
					   struct layout *ret);
void layout_deinit(struct layout *layout);

/* Whether the guest's memory map is another one by now. */
MUST_CHECK struct gdump_error *layout_changed(struct qmp *q, const struct layout *layout,
					      bool *ret);
/* Find the memory in QEMU's process. */
MUST_CHECK struct gdump_error *layout_locate(struct qmp *q, const struct gdump_open_options *opt,
					     struct layout *layout);
/* Take out what is not plugged of virtio-mem devices. */
MUST_CHECK struct gdump_error *layout_plugged(struct qmp *q, struct layout *layout);
/* Inside of @window (length 0: everywhere) keep only what is in @head's loads. */
MUST_CHECK struct gdump_error *layout_clip(struct layout *layout, struct qemu_extent window,
					   const struct qemu_head *head);

/* The first slot that ends behind @paddr; num_slots: there is none. */
size_t layout_find(const struct layout *layout, uint64_t paddr);
