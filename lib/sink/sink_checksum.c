/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * sink_checksum.c - around another sink: appends a checksum to the file, see ../checksum.h
 *
 * The headers are at the beginning of the file, and may be written a second time, when all is
 * known: adding the old ones once more removes them from the sum.
 */
#include "../checksum.h"

#include <stdlib.h>
#include <string.h>

#include "../util/cleanup.h"
#include "sink.h"

struct sink_checksum {
	struct sink sink;
	struct sink *inner;
	struct checksum *sum;
	void *headers;                  /* as they were written at offset 0     */
	size_t headers_len;
};

static struct gdump_error *sink_checksum_headers(struct sink_checksum *c, const void *buf,
						 size_t len)
{
	if (!checksum_add(c->sum, 0, c->headers, c->headers_len))
		return error_nomem();
	free(c->headers);
	c->headers_len = 0;
	c->headers = malloc(len);
	if (!c->headers)
		return error_nomem();
	memcpy(c->headers, buf, len);
	c->headers_len = len;
	return NULL;
}

static struct gdump_error *sink_checksum_write(struct sink *s, uint64_t off, const void *buf,
					       size_t len)
{
	struct sink_checksum *c = (struct sink_checksum *)s;
	struct gdump_error *err = off ? NULL : sink_checksum_headers(c, buf, len);

	if (err)
		return err;
	if (!checksum_add(c->sum, off, buf, len))
		return error_nomem();
	return sink_write(c->inner, off, buf, len);
}

static struct gdump_error *sink_checksum_finish(struct sink *s, uint64_t size)
{
	struct sink_checksum *c = (struct sink_checksum *)s;
	CLEANUP_FREE void *buf = NULL;
	size_t len = 0;
	struct gdump_error *err = checksum_finish(c->sum, size, &buf, &len);

	if (!err)
		err = sink_write(c->inner, size, buf, len);
	return err ? err : c->inner->ops->finish(c->inner, size + len);
}

static void sink_checksum_close(struct sink *s)
{
	struct sink_checksum *c = (struct sink_checksum *)s;

	c->inner->keep = s->keep;
	sink_close(c->inner);
	checksum_destroy(c->sum);
	free(c->headers);
	free(c);
}

static const struct sink_ops sink_checksum_ops = {
	.write = sink_checksum_write,
	.finish = sink_checksum_finish,
	.close = sink_checksum_close,
};

struct gdump_error *sink_checksum_create(struct sink *inner, uint64_t size,
					struct sink **ret)
{
	struct sink_checksum *c = calloc(1, sizeof(*c));

	if (!c || !(c->sum = checksum_create(size))) {
		sink_close(inner);
		free(c);
		return error_nomem();
	}
	c->sink = (struct sink){ .ops = &sink_checksum_ops, .seeks = inner->seeks,
				 .amends = inner->amends, .checksums = true,
				 .partial_path = inner->partial_path };
	c->inner = inner;
	*ret = &c->sink;
	return NULL;
}
