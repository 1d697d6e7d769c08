/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * sink_spool.c - a file without a name that is copied to another sink when it is complete
 *
 * This is for pages that arrive in another order than the other sink needs, from a guest that
 * must not wait for that sink.
 */
#include "sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/io.h"

enum { CHUNK = 1 << 20 };

struct sink_spool {
	struct sink sink;
	struct sink *inner;
	char *dir;
	int fd;
};

static struct gdump_error *sink_spool_write(struct sink *s, uint64_t off, const void *buf,
					    size_t len)
{
	struct sink_spool *f = (struct sink_spool *)s;
	const int rc = io_pwrite(f->fd, buf, len, off);

	return rc ? error_os(rc, "cannot write to a temporary file in %s", f->dir) : NULL;
}

/* Holes are copied too, because the other sink may not fill them. */
static struct gdump_error *sink_spool_finish(struct sink *s, uint64_t size)
{
	struct sink_spool *f = (struct sink_spool *)s;
	CLEANUP_FREE unsigned char *buf = malloc(CHUNK);
	struct gdump_error *err = buf ? NULL : error_nomem();
	size_t got;

	for (uint64_t off = 0; !err && off < size; off += CHUNK) {
		const size_t len = (size_t)MIN(size - off, (uint64_t)CHUNK);
		const int rc = io_pread(f->fd, buf, len, off, &got);

		if (rc)
			return error_os(rc, "cannot read a temporary file in %s", f->dir);
		memset(buf + got, 0, len - got);
		err = sink_write(f->inner, off, buf, len);
	}
	return err ? err : f->inner->ops->finish(f->inner, size);
}

static void sink_spool_close(struct sink *s)
{
	struct sink_spool *f = (struct sink_spool *)s;

	sink_close(f->inner);
	if (f->fd >= 0)
		close(f->fd);
	free(f->dir);
	free(f);
}

static const struct sink_ops sink_spool_ops = {
	.write = sink_spool_write,
	.finish = sink_spool_finish,
	.close = sink_spool_close,
};

struct gdump_error *sink_spool_create(struct sink *inner, const char *dir, struct sink **ret)
{
	struct sink_spool *f = calloc(1, sizeof(*f));
	CLEANUP_SINK struct sink *owned = (struct sink *)f;

	if (!f) {
		sink_close(inner);
		return error_nomem();
	}
	*f = (struct sink_spool){ .sink = { .ops = &sink_spool_ops, .seeks = true },
				  .inner = inner, .fd = -1 };
	if (!dir)
		return error_new(GDUMP_ERR_USAGE,
				 "the pages of a running guest arrive out of order: write to a file, not flattened, or name a directory for a temporary file");
	f->dir = strdup(dir);
	if (!f->dir)
		return error_nomem();
	f->fd = io_open_temp(dir);
	if (f->fd < 0)
		return error_os(errno, "cannot create a temporary file in %s", dir);
	*ret = TAKE_PTR(owned);
	return NULL;
}
