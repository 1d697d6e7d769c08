/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu.h - a guest of QEMU, and the table of ways to read one
 *
 * struct qemu is the state that all ways share.  qemu.c chooses a way, and qemu_guest.c
 * does what is the same for each; neither of them knows one by name beyond the table in
 * qemu.c.  Unless said otherwise, all functions are for one thread at a time, and every
 * struct qemu was made by qemu_open().
 */
#pragma once

#include "../machine/source.h"
#include "guest.h"
#include "layout.h"
#include "procmem.h"

struct qemu;

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
			     qemu_way_dump;

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
	struct layout layout;
	struct procmem *mem;            /* QEMU's process; NULL: not to be read */
	const struct qemu_way *way;     /* NULL: not chosen yet                 */
	struct qemu_stream stream;
	struct protected_dump *whole;   /* of qemu_way_protected                */
	struct snapshot *snapshot;      /* of qemu_way_snapshot                 */
};

/* A warning to the caller of the library, cut at 300 characters */
void qemu_warn(const struct gdump_open_options *opt, const char *fmt, ...) PRINTF(2, 3);
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
void qemu_close(struct source *s);
/* Those of a guest for which no way is chosen yet */
extern const struct source_ops qemu_ops;
