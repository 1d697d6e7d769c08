/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_map.h - the memory map of QEMU's guest, as QEMU's monitor shows it
 */
#pragma once

#include "qemu_dump.h"
#include "memory_map.h"

struct qemu_map {
	struct memory_map memory;
	char *mtree;                    /* the text that it was made from       */
};

/* Ask QEMU what memory the guest has.  @opt: for warnings. */
MUST_CHECK struct gdump_error *qemu_map_read(struct qmp *q, const struct gdump_open_options *opt,
					     struct qemu_map *ret);
void qemu_map_deinit(struct qemu_map *map);

/* Whether QEMU shows another memory map by now */
MUST_CHECK struct gdump_error *qemu_map_changed(struct qmp *q, const struct qemu_map *map,
						bool *ret);
/* Find out where in QEMU's process each slot is. */
MUST_CHECK struct gdump_error *qemu_map_locate(struct qmp *q, const struct gdump_open_options *opt,
					       struct qemu_map *map);
/* Remove what is not plugged of virtio-mem devices. */
MUST_CHECK struct gdump_error *qemu_map_plugged(struct qmp *q, struct qemu_map *map);
/* Inside of @window (length 0: everywhere) keep only what is in @head's loads. */
MUST_CHECK struct gdump_error *qemu_map_clip(struct qemu_map *map, struct qemu_extent window,
					     const struct qemu_head *head);
