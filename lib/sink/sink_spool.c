/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * sink_spool.c - a file without a name that goes to another sink when it is complete
 *
 * For what is not made in the order that the other sink wants, and must not wait for
 * it either.
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

static struct gdump_error *spool_write(struct sink *s, uint64_t off, const void *buf, size_t len)
{
	struct sink_spool *f = (struct sink_spool *)s;
	const int rc = io_pwrite(f->fd, buf, len, off);

	return rc ? error_os(rc, "writing to a temporary file in %s", f->dir) : NULL;
}

/* Holes too: what the other sink is not given would not be there. */
static struct gdump_error *spool_finish(struct sink *s, uint64_t size)
{
	struct sink_spool *f = (struct sink_spool *)s;
	CLEANUP_FREE unsigned char *buf = malloc(CHUNK);
	struct gdump_error *err = buf ? NULL : error_nomem();
	size_t got;

	for (uint64_t off = 0; !err && off < size; off += CHUNK) {
		const size_t len = (size_t)MIN(size - off, (uint64_t)CHUNK);
		const int rc = io_pread(f->fd, buf, len, off, &got);

		if (rc)
			return error_os(rc, "reading a temporary file in %s", f->dir);
		memset(buf + got, 0, len - got);
		err = sink_write(f->inner, off, buf, len);
	}
	return err ? err : f->inner->ops->finish(f->inner, size);
}

static void spool_close(struct sink *s)
{
	struct sink_spool *f = (struct sink_spool *)s;

	sink_close(f->inner);
	if (f->fd >= 0)
		close(f->fd);
	free(f->dir);
	free(f);
}

static const struct sink_ops spool_ops = {
	.write = spool_write,
	.finish = spool_finish,
	.close = spool_close,
};

struct gdump_error *sink_spool_create(struct sink *inner, const char *dir, struct sink **ret)
{
	struct sink_spool *f = calloc(1, sizeof(*f));
	CLEANUP_SINK struct sink *guard = (struct sink *)f;

	if (!f) {
		sink_close(inner);
		return error_nomem();
	}
	*f = (struct sink_spool){ .sink = { .ops = &spool_ops, .seeks = true },
				  .inner = inner, .fd = -1 };
	if (!dir)
		return error_new(GDUMP_ERR_USAGE,
				 "a guest that runs on does not give its pages in order: write to a file that can seek, not flattened, or name a folder for a temporary one");
	f->dir = strdup(dir);
	if (!f->dir)
		return error_nomem();
	f->fd = io_open_temp(dir);
	if (f->fd < 0)
		return error_os(errno, "making a temporary file in %s", dir);
	guard = NULL;
	*ret = &f->sink;
	return NULL;
}
