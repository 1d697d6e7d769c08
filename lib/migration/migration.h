/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration.h - QEMU's migration stream, parsed as it comes
 *
 * "migrate" to a file or a pipe, "savevm", "virsh save", "virsh dump" and the
 * background snapshot of a running guest all produce the same stream.  The caller
 * has its bytes and feeds them in order, in pieces of any size:
 *
 *     err = migration_init(&m, pos, &events);
 *     while (!err && !m.ram_done && (len = read some to buf))
 *             err = migration_feed(&m, buf, len);
 *     if (!err && !m.ram_done)
 *             err = migration_end(&m);
 *     migration_deinit(&m);
 *
 * The parser reports memory blocks and pages, and ends after the RAM: the devices
 * that follow are for devices.h, which needs the description at the stream's end.
 *
 * Facts: QEMU's migration/savevm.c, migration/ram.c, docs/devel/migration.  All
 * numbers are big endian; pages are raw guest memory.
 */
#pragma once

#include "../error.h"

struct migration_block {
	char name[256];
	uint64_t size;                  /* bytes                                */
	/* mapped-ram (QEMU 9): each page has its place in the file, and a bit that
	 * says whether it is there; pages_off 0: pages come one by one
	 */
	uint64_t bitmap_off, pages_off;
};

/* Part of a block, and its guest-physical address */
struct block_range {
	uint64_t paddr, size;
	uint64_t off;                   /* in the block                         */
	uint32_t block;
	bool sparse;                    /* virtio-mem: parts may not be plugged */
};

enum migration_kind {
	MIGRATION_RAW,
	MIGRATION_ZERO,                 /* all bytes are 0                      */
	MIGRATION_ZLIB,                 /* compressed, until QEMU 9.0           */
	MIGRATION_XBZRLE,               /* changes to what was sent before      */
};

/* A page of a block.  One that comes again replaces the earlier one. */
struct migration_page {
	enum migration_kind kind;
	uint32_t block;
	uint32_t len;                   /* bytes of data, 0 for MIGRATION_ZERO  */
	uint64_t off;                   /* in the block; inside of it           */
	uint64_t pos;                   /* of the data, in the stream           */
	const unsigned char *data;      /* valid during the call; in the bytes that
					 * were fed, unless they were split there */
};

struct migration;

/* What the parser reports, from within migration_feed() and migration_end(), which
 * fail with the error that one of these returns.
 */
struct migration_events {
	/* Once, before the first page: m->blocks is complete. */
	struct gdump_error *(*blocks)(void *arg, const struct migration *m);
	struct gdump_error *(*page)(void *arg, const struct migration_page *page);
	/* The state of a device in front of the RAM is at [pos, pos + len) of the
	 * stream, with its header and without its footer.  May be NULL.
	 */
	struct gdump_error *(*device)(void *arg, uint64_t pos, uint64_t len);
	/* The bytes after the RAM, as they come.  May be NULL. */
	struct gdump_error *(*rest)(void *arg, const unsigned char *buf, size_t len);
	void *arg;
};

struct migration {
	/* what the stream says; read-only for others */
	char machine[256];              /* "pc-q35-7.2"; "": does not say       */
	uint32_t page_size;             /* QEMU's for the target, not the kernel's; 4096
					 * until the stream says it, or set it after init */
	bool mapped_ram, ignore_shared, postcopy;
	struct migration_block *blocks;
	size_t num_blocks;
	bool ram_done;                  /* all RAM has come                     */

	/* the parser's own, see take.h */
	const struct migration_events *events;
	struct gdump_error *(*next)(struct migration *m);       /* parses an element */
	uint64_t pos;                   /* of the element in the stream         */
	const unsigned char *p;         /* its bytes, as far as they are here:  */
	size_t len, used, need;         /* how many; parsed; missing if > len   */
	bool at_end;                    /* of the stream: no more will come     */
	unsigned char *carry;           /* the start of an element, of which    */
	size_t num_carried;             /* the rest has not been fed            */
	uint64_t skip;                  /* bytes that are not needed              */
	struct {                        /* the one that we are in               */
		uint8_t type;
		uint32_t id;
		uint64_t pos;
		bool is_ram;
	} section;
	uint32_t *order;                /* blocks by name                       */
	uint64_t blocks_left;           /* bytes of those still to be listed    */
	uint32_t ram_id, block;         /* block: the last page's               */
	bool ram_seen, part_seen, blocks_seen;
};

/* Prepare for a stream of which the next byte that is fed is at @pos, by which offsets
 * in errors and events are counted.  @events is borrowed.  migration_deinit() is due also
 * after an error.
 */
MUST_CHECK struct gdump_error *migration_init(struct migration *m, uint64_t pos,
					      const struct migration_events *events);
/* The next @len bytes; they are parsed as far as they make complete elements, and the rest,
 * less than 128 KiB, is copied.  What contradicts the format is an error, with its
 * offset, and then nothing more may be fed.  Once ->ram_done is set, all goes to
 * events->rest.
 */
MUST_CHECK struct gdump_error *migration_feed(struct migration *m, const void *buf, size_t len);
/* How many of the next bytes the parser does not need.  A caller that can seek skips them
 * and must do so when it has asked; one that cannot need not ask and feeds them.
 */
uint64_t migration_skip(struct migration *m);
/* The stream has ended, and ->ram_done is not set: GDUMP_ERR_CORRUPT, unless all RAM turns
 * out to be there.  But once the list of blocks is complete, it is no error, and
 * ->ram_done remains false: what came is of use.
 */
MUST_CHECK struct gdump_error *migration_end(struct migration *m);
/* Where in the stream what is after the RAM begins, once that is done. */
uint64_t migration_pos(const struct migration *m);
void migration_deinit(struct migration *m);

/* The numbers that sections and the like begin with */
enum stream_section {
	STREAM_EOF           = 0x00,
	STREAM_START         = 0x01,
	STREAM_PART          = 0x02,
	STREAM_END           = 0x03,
	STREAM_FULL          = 0x04,
	STREAM_SUBSECTION    = 0x05,
	STREAM_DESCRIPTION   = 0x06,
	STREAM_CONFIGURATION = 0x07,
	STREAM_COMMAND       = 0x08,
	STREAM_FOOTER        = 0x7e,
};

enum {
	STREAM_FOOTER_SIZE = 5,
	STREAM_PROOF = 6 + 255,         /* bytes after a footer that are needed to prove
					 * that it is one: the longest beginning of a
					 * section, to the end of its name      */
};

/* Sections have no length.  Where the one with @id and an unknown body ends: how
 * many of @len bytes are in front of its footer, or @len when none was found.  A
 * footer with less than STREAM_PROOF bytes after it counts only with @at_end.
 */
size_t migration_find_footer(const unsigned char *buf, size_t len, uint32_t id, bool at_end);
