/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_guest.h - what is done to a guest of QEMU in whatever way it is read
 *
 * struct qemu is the state that all ways share (see qemu_way.h). qemu.c makes it and chooses
 * a way. All functions are for one thread at a time.
 */
#pragma once

#include "../machine/source.h"
#include "guest.h"
#include "qemu_map.h"
#include "procmem.h"

/* A dump of QEMU's that is under way: see qemu_stream.h */
struct qemu_stream {
	struct qemu_head head;
	bool active;
	size_t load;                    /* that we are in                       */
	uint64_t pos;                   /* in the dump: the pipe's next byte    */
};

struct qemu {
	struct source source;
	struct gdump_open_options opt;
	struct guest guest;
	struct qemu_map map;
	int lock;                       /* see guest_lock.h; -1: none           */
	struct procmem *mem;            /* QEMU's process; NULL: not to be read */
	bool keeps_qmp;                 /* guest.qmp belongs to someone else, and stays open */
	const struct qemu_way *way;     /* NULL: not chosen yet                 */
	struct qemu_stream stream;
	struct peek *peek;              /* see qemu_peek.h; NULL: not used yet  */
	struct protected_dump *protected_dump;  /* of qemu_way_protected        */
	struct snapshot *snapshot;      /* of qemu_way_snapshot                 */
};

/* Add the machine and the notes in the head of a dump to @image. */
MUST_CHECK struct gdump_error *qemu_take_head(struct image *image, const struct qemu_head *head);
/* From here on, the guest is read this way. */
void qemu_use(struct qemu *qemu, const struct qemu_way *way);
/* Pause the guest, if it runs; *@changed: its memory map is another one by now. */
MUST_CHECK struct gdump_error *qemu_pause(struct qemu *qemu, bool *changed);

/* What all source_ops of a guest of QEMU have in common; the table is of one that cannot be
 * paused later.
 */
extern const struct guest_ops qemu_guest_ops;
struct gdump_error *qemu_resume(struct source *s);
uint64_t qemu_paused_us(const struct source *s);
struct gdump_error *qemu_overdue(struct source *s, uint64_t progress);
struct gdump_error *qemu_torn(struct source *s);
void qemu_close(struct source *s);
/* Those of a guest for which no way is chosen yet */
extern const struct source_ops qemu_ops;
