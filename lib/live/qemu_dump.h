/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_dump.h - QEMU's own dump-guest-memory, into a pipe of ours
 *
 * QEMU writes an ELF core: headers, then the notes, then the memory of each
 * PT_LOAD in ascending order.  Meanwhile the guest is paused.
 */
#pragma once

#include "../format/elf_header.h"
#include "guest.h"

/* The bytes of guest-physical memory [paddr, paddr + size) at @off of the dump */
struct qemu_load {
	uint64_t paddr, size, off;
};

/* The start of a dump, as it comes out of the pipe; begin with all zero. */
struct qemu_head {
	struct qmp_pump pump;           /* the pipe                             */
	size_t with_data;               /* how much of the first load's memory is also wanted */
	bool cut;                       /* close the pipe when we have it all   */
	struct guest *guarded;          /* whose guard reads all of it if we cannot;
					 * NULL: that is not needed             */
	bool may_break;                 /* it need not, if we are gone          */
	bool done;                      /* the head is complete                 */
	unsigned char *buf;
	size_t len, cap;                /* bytes received, allocated            */
	size_t need;                    /* bytes to have for the next step      */
	size_t size;                    /* headers and notes only               */
	struct elf_header elf;          /* with ->phdrs                         */
	struct qemu_load *loads;        /* ascending, also in the file          */
	size_t num_loads;
};

/* Guest-physical memory to dump; length 0: all there is */
struct qemu_extent {
	uint64_t begin, length;
};

/* The head and the memory of a dump of @extent, which should be small. */
MUST_CHECK struct gdump_error *qemu_dump_notes(struct qmp *q, struct qemu_extent extent,
					       struct qemu_head *head);
/* Only the head: its ->loads show which memory of a virtio-mem device is plugged. */
MUST_CHECK struct gdump_error *qemu_dump_loads(struct qmp *q, struct qemu_extent extent,
					       struct qemu_head *head);
/* Begin a dump in the background; the next byte in the pipe is the first one after the
 * head.
 */
MUST_CHECK struct gdump_error *qemu_dump_start(struct qmp *q, struct qemu_extent extent,
					       struct qemu_head *head);
/* Close the pipe and wait until QEMU has ended its dump. */
MUST_CHECK struct gdump_error *qemu_dump_end(struct qmp *q, struct qemu_head *head);

/* For a dump that comes in another way: how many bytes the head needs at least, until it is ->done,
 * and these bytes, not more.  Begin with all zero but ->with_data.
 */
size_t qemu_head_needs(struct qemu_head *head);
MUST_CHECK struct gdump_error *qemu_head_feed(struct qemu_head *head, const void *data, size_t len);

void qemu_head_deinit(struct qemu_head *head);

static inline void qemu_head_cleanup(struct qemu_head *head)
{
	qemu_head_deinit(head);
}
#define CLEANUP_HEAD __attribute__((__cleanup__(qemu_head_cleanup)))
