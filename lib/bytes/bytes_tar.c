/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * bytes_tar.c - the one dump in a tar archive, where it is in the archive
 *
 * Only the headers are read, each of which has a checksum.  Files that are no dumps are passed over.
 *
 * Facts: POSIX's ustar; GNU's tar-internals.
 */
#include "bytes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"

enum {
	TAR_BLOCK = 512, MAX_TAR_FILES = 1 << 20,
	TAR_SIZE = 124, TAR_CHECKSUM = 148, TAR_TYPE = 156, TAR_MAGIC = 257,   /* offsets */
};

/* Part of other bytes */
struct tar_part {
	struct bytes bytes;
	struct bytes *in;
	uint64_t off;
};

static struct gdump_error *tar_part_read(struct bytes *b, uint64_t off, void *buf, size_t len)
{
	struct tar_part *p = (struct tar_part *)b;

	return bytes_read(p->in, p->off + off, buf, len);
}

static struct gdump_error *tar_part_readv(struct bytes *b, uint64_t off, const struct iovec *iov,
					  int num)
{
	struct tar_part *p = (struct tar_part *)b;

	return bytes_readv(p->in, p->off + off, iov, num);
}

static uint64_t tar_part_hole(struct bytes *b, uint64_t off, uint64_t len)
{
	struct tar_part *p = (struct tar_part *)b;

	return bytes_hole(p->in, p->off + off, len);
}

static void tar_part_close(struct bytes *b)
{
	struct tar_part *p = (struct tar_part *)b;

	bytes_close(p->in);
	free(p);
}

static const struct bytes_ops tar_part_ops = {
	.read = tar_part_read, .readv = tar_part_readv, .hole = tar_part_hole, .close = tar_part_close,
};

static struct gdump_error *tar_part_open(struct bytes *in, uint64_t off, uint64_t size,
					 struct bytes **ret)
{
	struct tar_part *p = calloc(1, sizeof(*p));

	if (!p)
		return error_nomem();
	p->bytes = (struct bytes){ .ops = &tar_part_ops, .size = size, .kind = "" };
	p->in = in;
	p->off = off;
	*ret = &p->bytes;
	return NULL;
}

/* In octal digits, or binary if the highest bit of the first byte is set */
static uint64_t tar_number(const unsigned char *p, size_t len)
{
	uint64_t n = 0;

	if (*p & 0x80) {
		for (size_t i = 0; i < 8; i++)
			n = n << 8 | p[len - 8 + i];
		return n;
	}
	for (size_t i = 0; i < len && (p[i] == ' ' || (p[i] >= '0' && p[i] <= '7')); i++)
		n = p[i] == ' ' ? n : n << 3 | (p[i] - '0');
	return n;
}

/* The sum of all bytes, with spaces for the sum itself */
static bool tar_is_header(const unsigned char *block)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= TAR_CHECKSUM && i < TAR_CHECKSUM + 8 ? ' ' : block[i];
	return !memcmp(block + TAR_MAGIC, "ustar", 5) && tar_number(block + TAR_CHECKSUM, 8) == sum;
}

bool bytes_is_tar(struct bytes *in)
{
	unsigned char block[TAR_BLOCK];
	struct gdump_error *err;

	if (in->size < 2 * TAR_BLOCK)
		return false;
	err = bytes_read(in, 0, block, sizeof(block));
	gdump_error_destroy(err);
	return !err && tar_is_header(block);
}

struct tar_search {
	struct bytes *in;
	bytes_is_dump_fn *is_dump;
	uint64_t pos;                   /* of the next header                   */
	uint64_t off, size;             /* of the dump                          */
	size_t num_dumps;
};

/* The file at [off, off + size) of the archive */
static struct gdump_error *tar_look(struct tar_search *t, uint64_t off, uint64_t size)
{
	unsigned char head[4096] = { 0 };
	const size_t len = (size_t)MIN(size, sizeof(head));
	struct gdump_error *err = bytes_read(t->in, off, head, len);

	if (err || !t->is_dump(head, len))
		return err;
	t->off = off;
	t->size = size;
	t->num_dumps++;
	return NULL;
}

/* The file, or what describes one, whose header is at t->pos */
static struct gdump_error *tar_next(struct tar_search *t, const unsigned char *block)
{
	const uint64_t off = t->pos + TAR_BLOCK, size = tar_number(block + TAR_SIZE, 12);
	const unsigned char type = block[TAR_TYPE];

	if (!range_fits(off, size, t->in->size))
		return error_new(GDUMP_ERR_CORRUPT,
				 "the tar archive ends early: a file of %" PRIu64 " bytes at offset %" PRIu64,
				 size, off);
	t->pos = off + round_up(size, TAR_BLOCK);
	if (type == 'S')
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the tar archive has a sparse file; extract it first: tar -xf FILE");
	return type == '0' || type == '7' || !type ? tar_look(t, off, size) : NULL;
}

static struct gdump_error *tar_search(struct tar_search *t)
{
	unsigned char block[TAR_BLOCK];
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < MAX_TAR_FILES && t->pos < t->in->size; i++) {
		err = bytes_read(t->in, t->pos, block, sizeof(block));
		if (!err && is_zero(block, sizeof(block)))
			break;
		if (!err && !tar_is_header(block))
			err = error_new(GDUMP_ERR_CORRUPT,
					"the tar archive is damaged at offset %" PRIu64, t->pos);
		if (!err)
			err = tar_next(t, block);
	}
	return err;
}

struct gdump_error *bytes_tar_open(struct bytes *in, bytes_is_dump_fn *is_dump, struct bytes **ret)
{
	struct tar_search t = { .in = in, .is_dump = is_dump };
	struct gdump_error *err = tar_search(&t);

	if (!err && t.num_dumps != 1)
		err = error_new(GDUMP_ERR_FORMAT,
				"the tar archive has %zu dumps, not one; extract it first: tar -xf FILE",
				t.num_dumps);
	return err ? err : tar_part_open(in, t.off, t.size, ret);
}
