/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu.h - what the two ways to read a QEMU guest share
 */
#pragma once

#include "../machine/source.h"
#include "guest.h"
#include "layout.h"
#include "procmem.h"

struct qemu {
	struct source source;
	struct gdump_open_options opt;
	struct guest guest;
	struct layout layout;
	struct procmem *mem;            /* NULL: the slow way                   */
	bool still;                     /* the guest has to stand still for us  */
	/* the slow way: a dump of QEMU's that is under way */
	struct qemu_head head;
	bool streaming;
	size_t load;                    /* that we are in                       */
	uint64_t pos;                   /* in the dump: the pipe's next byte    */
	struct protected_dump *whole;   /* of a protected guest; NULL: it is not */
	/* a snapshot of a guest that runs on */
	struct snapshot *snapshot;
};

/* A warning; the message is cut at 300 characters. */
void qemu_warn(const struct gdump_open_options *opt, const char *fmt, ...) PRINTF(2, 3);
/* Take machine and notes out of the head of a dump. */
MUST_CHECK struct gdump_error *qemu_take_head(struct qemu *qemu, const struct qemu_head *head);

/* Where to look for the CPUs' registers: QEMU gives them with some memory only. */
struct qemu_extent qemu_probe_extent(const struct layout *layout);
/* The first bytes of memory came along with the CPUs' registers: compare. */
MUST_CHECK struct gdump_error *qemu_compare(struct qemu *qemu, const struct qemu_head *head);

/* Get QEMU ready for a snapshot, before the guest is paused; what it refuses is
 * GDUMP_ERR_REMOTE.  From then on the source pushes.
 */
MUST_CHECK struct gdump_error *snapshot_prepare(struct qemu *qemu);
struct gdump_error *snapshot_push(struct source *s, const struct page_sink *to);
uint64_t snapshot_stalled_us(const struct source *s);
/* End one that is under way, and put back QEMU's settings.  NULL is fine. */
void snapshot_close(struct qemu *qemu);

/* The operations on a guest, whatever way it is read; the table is of one that cannot be
 * paused later.
 */
extern const struct guest_ops qemu_guest_ops;
struct gdump_error *qemu_resume(struct source *s);
struct gdump_error *qemu_pause(struct source *s);
uint64_t qemu_paused_us(const struct source *s);
void qemu_close(struct source *s);

/* Begin the slow way; fills the image's machine and notes, and takes out of the
 * layout what QEMU does not dump.
 */
MUST_CHECK struct gdump_error *qemu_stream_begin(struct qemu *qemu);
/* End the dump that is under way, if any. */
MUST_CHECK struct gdump_error *qemu_stream_end(struct qemu *qemu);
extern const struct source_ops qemu_stream_ops;
/* source_ops.read of it */
struct gdump_error *qemu_stream_read(struct source *s, uint64_t paddr, void *buf, size_t len);
/* Bytes of the dump from @off on, which is not behind the pipe's place */
MUST_CHECK struct gdump_error *qemu_stream_bytes(struct qemu *qemu, uint64_t off, void *buf,
						 size_t len);

/* The slow way has begun.  If the guest is protected, and only a whole dump of QEMU's makes
 * sense, make the source one that gives that.
 */
MUST_CHECK struct gdump_error *qemu_protect(struct qemu *qemu);
void protected_dump_free(struct protected_dump *d);
