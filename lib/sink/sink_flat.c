/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * sink_flat.c - makedumpfile's flattened form
 *
 * The form is a header of 4096 bytes, then records "write these bytes at that offset",
 * so that a format that needs seeking can be written to a pipe.  All of the framing is
 * big-endian.  crash keeps the records in a sorted list and uses the older of two that
 * begin at the same offset, so we write few, large records, and each byte only once
 * but the headers of a dump that turns out to be incomplete.
 * Source: makedumpfile's makedumpfile.h.
 */
#include "sink.h"

#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cursor.h"

enum { HEADER_SIZE = 4096, RECORD_SIZE = 16, BUFFER_SIZE = 1 << 20 };

struct sink_flat {
	struct sink sink;
	struct sink *inner;
	uint64_t pos;                   /* in the inner sink                    */
	uint64_t end;                   /* of the logical file, as written      */
	uint64_t buf_off;               /* logical offset of the buffer         */
	size_t buf_len;
	unsigned char buf[RECORD_SIZE + BUFFER_SIZE];   /* a record             */
};

static struct gdump_error *flat_put(struct sink_flat *f, const void *buf, size_t len)
{
	struct gdump_error *err = sink_write(f->inner, f->pos, buf, len);

	f->pos += len;
	return err;
}

static void flat_put_record(unsigned char *p, uint64_t off, uint64_t len)
{
	struct cursor c = cursor_init(p, RECORD_SIZE, true, true);

	put_u64(&c, off);
	put_u64(&c, len);
}

static struct gdump_error *flat_flush(struct sink_flat *f)
{
	size_t len = f->buf_len;

	if (!len)
		return NULL;
	flat_put_record(f->buf, f->buf_off, len);
	f->buf_len = 0;
	return flat_put(f, f->buf, RECORD_SIZE + len);
}

static struct gdump_error *sink_flat_write(struct sink *s, uint64_t off, const void *buf,
					   size_t len)
{
	struct sink_flat *f = (struct sink_flat *)s;
	const unsigned char *p = buf;

	f->end = MAX(f->end, off + len);
	while (len) {
		struct gdump_error *err = NULL;
		size_t n;

		if (f->buf_len == BUFFER_SIZE || (f->buf_len && off != f->buf_off + f->buf_len))
			err = flat_flush(f);
		if (err)
			return err;
		if (!f->buf_len)
			f->buf_off = off;
		n = MIN(len, BUFFER_SIZE - f->buf_len);
		memcpy(f->buf + RECORD_SIZE + f->buf_len, p, n);
		f->buf_len += n;
		p += n, off += n, len -= n;
	}
	return NULL;
}

static struct gdump_error *sink_flat_finish(struct sink *s, uint64_t size)
{
	struct sink_flat *f = (struct sink_flat *)s;
	struct gdump_error *err = NULL;

	/* for readers, the file ends where the record with the highest offset ends */
	if (f->end < size)
		err = sink_flat_write(s, size - 1, "", 1);
	if (!err)
		err = flat_flush(f);
	flat_put_record(f->buf, UINT64_MAX, UINT64_MAX);
	if (!err)
		err = flat_put(f, f->buf, RECORD_SIZE);
	return err ? err : f->inner->ops->finish(f->inner, f->pos);
}

static void sink_flat_close(struct sink *s)
{
	struct sink_flat *f = (struct sink_flat *)s;

	f->inner->keep = s->keep;
	sink_close(f->inner);
	free(f);
}

static const struct sink_ops sink_flat_ops = {
	.write = sink_flat_write,
	.finish = sink_flat_finish,
	.close = sink_flat_close,
};

struct gdump_error *sink_flat_create(struct sink *inner, struct sink **ret)
{
	struct sink_flat *f = calloc(1, sizeof(*f));
	struct gdump_error *err;
	struct cursor c;

	if (!f) {
		sink_close(inner);
		return error_nomem();
	}
	f->sink = (struct sink){ .ops = &sink_flat_ops, .amends = true,
				 .partial_path = inner->partial_path };
	f->inner = inner;
	c = cursor_init(f->buf, HEADER_SIZE, true, true);
	put_bytes(&c, "makedumpfile\0\0\0", 16);
	put_u64(&c, 1);         /* type */
	put_u64(&c, 1);         /* version */
	put_zeros(&c, cursor_left(&c));
	err = flat_put(f, f->buf, HEADER_SIZE);
	if (err) {
		sink_flat_close(&f->sink);
		return err;
	}
	*ret = &f->sink;
	return NULL;
}
