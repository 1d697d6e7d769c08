/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * libvirt_guest.h - a guest of libvirt while it is open
 *
 * libvirt_guest.c opens and closes it; libvirt_memory.c reads its memory.
 */
#pragma once

#include "../machine/source.h"
#include "guest.h"
#include "libvirt_dump.h"
#include "pause_limit.h"
#include "procmem.h"
#include "qemu_map.h"

struct libvirt_piece;

struct libvirt_guest {
	struct source source;
	struct gdump_open_options opt;
	char *uri, *name;
	struct domain asks, dumps;      /* for questions; for the dump          */
	struct qmp *qmp;                /* over @asks                           */
	pid_t pid;                      /* of QEMU; 0: unknown                  */
	int lock;                       /* see guest_lock.h; -1: none           */
	struct qemu_map map;            /* without QEMU's process: no addresses in it */
	struct procmem *mem;            /* QEMU's process; NULL: libvirt reads the memory */
	struct libvirt_dump *dump;      /* NULL: the guest is not paused by us  */
	struct libvirt_piece *pieces;   /* that libvirt has read; NULL: none    */
	struct pause_limit limit;
	struct guest guarded;           /* only for its guard, see guest.h      */
	uint64_t pause_us;              /* when the dump began                  */
	uint64_t paused_us;             /* how long the guest was paused before */
};

/* Find the guest's memory in QEMU's process and open it.  GDUMP_ERR_OS or GDUMP_ERR_NODATA if it
 * cannot be read from here; then there is no ->mem.
 */
MUST_CHECK struct gdump_error *libvirt_memory_attach(struct libvirt_guest *g);
void libvirt_memory_detach(struct libvirt_guest *g);
/* While the dump is there: whether QEMU's process has the memory that the dump begins with.
 * GDUMP_ERR_NODATA if not.
 */
MUST_CHECK struct gdump_error *libvirt_memory_compare(struct libvirt_guest *g);
/* Without QEMU's process: the memory is what the dump contains. */
MUST_CHECK struct gdump_error *libvirt_memory_of_dump(struct libvirt_guest *g);
/* Free what was kept. */
void libvirt_memory_deinit(struct libvirt_guest *g);

/* source_ops of a guest whose process is read */
struct gdump_error *libvirt_direct_read(struct source *s, uint64_t paddr, void *buf, size_t len);
struct gdump_error *libvirt_direct_scan(struct source *s, uint64_t pfn, size_t num,
					unsigned char *state, bool holes);
const void *libvirt_direct_borrow(struct source *s, uint64_t paddr, size_t len);
/* source_ops.read of one whose memory libvirt reads: from the dump while one is written */
struct gdump_error *libvirt_indirect_read(struct source *s, uint64_t paddr, void *buf, size_t len);
