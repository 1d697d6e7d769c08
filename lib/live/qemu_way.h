/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_way.h - the ways to read a guest of QEMU: the contract, and which there are
 */
#pragma once

#include "../machine/source.h"

struct qemu;                            /* see qemu_guest.h                     */

/* One way to read a guest of QEMU.  After prepare() has agreed, begin(), end() and close()
 * are called in this order; each may be NULL.
 */
struct qemu_way {
	const char *name;               /* for the debug log                    */
	const struct source_ops *ops;
	bool live;                      /* the guest is not paused at first     */
	/* The guest's memory map is known, and the guest has not been paused yet, if it is
	 * at all.  *@unfit: why the guest cannot be read this way, so that the next one is
	 * asked; NULL: it can.  An error: no other way is wanted, either.
	 */
	struct gdump_error *(*prepare)(struct qemu *qemu, const char **unfit);
	/* Take the machine and the notes of the CPUs into the image; .live: those of a
	 * running guest, else of a paused one.
	 */
	struct gdump_error *(*begin)(struct qemu *qemu);
	/* End what QEMU does for us, so that the guest can be resumed; it may be called
	 * more than once.
	 */
	struct gdump_error *(*end)(struct qemu *qemu);
	/* Put back QEMU's settings and free what the way has.  The guest may not be
	 * resumed yet, but it will be.
	 */
	void (*close)(struct qemu *qemu);
};

extern const struct qemu_way qemu_way_snapshot, qemu_way_process, qemu_way_protected,
			     qemu_way_indirect;
