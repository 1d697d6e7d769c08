/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
* migration.h - QEMU's migration stream, taken apart while it goes by
 *
 * The same stream comes out of "migrate" into a file or a pipe, of "savevm", of
 * "virsh save" and "virsh dump", and of a background snapshot of a running
 * guest.  Bytes are asked for in order, once, from anything that can be read;
 * blocks and pages are handed on as they come.  The parser stops behind the RAM:
 * the devices that follow are for devices.h, which needs the description at the
 * stream's end.
 *
 * Facts: QEMU's migration/savevm.c, migration/ram.c, docs/devel/migration.  All
 * numbers are big endian; pages are raw guest memory.
 */
#pragma once

#include "../error.h"

/* Where the bytes come from. */
struct migration_reader {
	/* Some bytes, up to @len; none at the end. */
	struct gdump_error *(*read)(struct migration_reader *r, void *buf, size_t len, size_t *got);
	/* Go on at @pos, counted as migration_run()'s; NULL: it cannot seek. */
	struct gdump_error *(*seek)(struct migration_reader *r, uint64_t pos);
};

struct migration_block {
	char name[256];
	uint64_t size;                  /* bytes                                */
	/* QEMU 9's mapped-ram: each page has its place in the file, and a bit
	 * that tells if it is there; pages_off 0: pages come one by one
	 */
	uint64_t bitmap_off, pages_off;
};

enum migration_kind {
	MIGRATION_RAW,
	MIGRATION_FILL,                 /* all bytes are .fill                  */
	MIGRATION_ZLIB,                 /* compressed, until QEMU 9.0           */
	MIGRATION_XBZRLE,               /* changes to what was sent before      */
};

/* A page of a block.  One that comes again replaces the earlier one. */
struct migration_page {
	enum migration_kind kind;
	uint32_t block;
	uint8_t fill;
	uint32_t len;                   /* bytes of data, 0 for MIGRATION_FILL  */
	uint64_t off;                   /* in the block; inside of it           */
	uint64_t pos;                   /* of the data, in the stream           */
	const unsigned char *data;      /* valid during the call                */
};

struct migration;
struct migration_events {
	/* Once, before the first page: m->blocks is complete. */
	struct gdump_error *(*blocks)(void *arg, const struct migration *m);
	struct gdump_error *(*page)(void *arg, const struct migration_page *page);
	/* A device's state in front of the RAM, its header included; may be NULL. */
	struct gdump_error *(*device)(void *arg, uint64_t pos, uint64_t len);
	void *arg;
};

struct migration {
	/* what the stream says; read-only for others */
	char machine[256];              /* "pc-q35-7.2"; "": does not say       */
	uint32_t page_size;             /* QEMU's for the target, not the kernel's */
	bool mapped_ram, ignore_shared, postcopy;
	struct migration_block *blocks;
	size_t num_blocks;
	bool ram_done;                  /* false: the stream ended too early    */

	/* the parser's own */
	struct migration_reader *reader;
	const struct migration_events *events;
	unsigned char *buf;
	size_t head, tail;              /* what is in buf and not yet used      */
	uint64_t base;                  /* of buf, in the stream                */
	uint32_t *order;                /* blocks by name                       */
	uint32_t ram_id, block;         /* block: the last page's               */
	bool ram_seen, part_seen, block_seen, ended;
};

/* Read the stream that begins at @pos of @reader until the RAM is complete.  A
 * stream that ends earlier, but behind the list of blocks, is no error: see
 * ->ram_done.  Everything that contradicts the format is, with its place.
 *
 * @m is zero but for ->page_size, which is used where the stream does not say
 * (0: 4096).  migration_deinit() is due also after an error.
 */
MUST_CHECK struct gdump_error *migration_run(struct migration *m, struct migration_reader *reader,
					     uint64_t pos, const struct migration_events *events);
/* Where the stream goes on behind the RAM. */
uint64_t migration_pos(const struct migration *m);
/* What of that has been read already; the reader has the rest. */
const unsigned char *migration_ahead(const struct migration *m, size_t *len);
void migration_deinit(struct migration *m);

/* Sections have no length.  Where the one with @id and an unknown body ends: how
 * many of @len bytes are in front of its footer, or @len when none was found.  A
 * footer so close to the end that the next section can't be seen counts only
 * with @at_end.  (take.c)
 */
size_t migration_find_footer(const unsigned char *buf, size_t len, uint32_t id, bool at_end);

enum migration_section {
	SECTION_EOF           = 0x00,
	SECTION_START         = 0x01,
	SECTION_PART          = 0x02,
	SECTION_END           = 0x03,
	SECTION_FULL          = 0x04,
	SECTION_SUBSECTION    = 0x05,
	SECTION_DESCRIPTION   = 0x06,
	SECTION_CONFIGURATION = 0x07,
	SECTION_COMMAND       = 0x08,
	SECTION_FOOTER        = 0x7e,
};

enum { SECTION_FOOTER_SIZE = 5 };
