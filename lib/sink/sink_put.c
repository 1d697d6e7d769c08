/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * sink_put.c - a file without a name that is uploaded to a URL when it is complete
 *
 * Such servers want to know the size first, and take no parts.
 */
#include "sink.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../net/object.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/io.h"

struct sink_put {
	struct sink sink;
	struct object *object;
	char *dir;
	int fd;
	bool replace;
	gdump_cancel_fn *cancel;
	void *cancel_arg;
	atomic_bool stop;
};

static bool sink_put_is_stopped(void *arg)
{
	struct sink_put *s = arg;

	return s->stop || (s->cancel && s->cancel(s->cancel_arg));
}

static struct gdump_error *sink_put_write(struct sink *sink, uint64_t off, const void *buf, size_t len)
{
	struct sink_put *s = (struct sink_put *)sink;
	const int rc = io_pwrite(s->fd, buf, len, off);

	return rc ? error_os(rc, "cannot write to a temporary file in %s", s->dir) : NULL;
}

static struct gdump_error *sink_put_finish(struct sink *sink, uint64_t size)
{
	struct sink_put *s = (struct sink_put *)sink;
	CLEANUP_HTTP struct http *h = NULL;
	struct gdump_error *err;

	if (ftruncate(s->fd, (off_t)size))
		return error_os(errno, "cannot write to a temporary file in %s", s->dir);
	err = object_connect(s->object, &h);
	return err ? err : object_put(s->object, h, s->fd, size, s->replace);
}

static void sink_put_interrupt(struct sink *sink)
{
	((struct sink_put *)sink)->stop = true;
}

static void sink_put_close(struct sink *sink)
{
	struct sink_put *s = (struct sink_put *)sink;

	object_close(s->object);
	if (s->fd >= 0)
		close(s->fd);
	free(s->dir);
	free(s);
}

static const struct sink_ops sink_put_ops = {
	.write = sink_put_write,
	.finish = sink_put_finish,
	.close = sink_put_close,
	.interrupt = sink_put_interrupt,
};

struct gdump_error *sink_put_create(const char *where, const struct sink_options *opt, struct sink **ret)
{
	struct sink_put *s = calloc(1, sizeof(*s));
	CLEANUP_SINK struct sink *owned = (struct sink *)s;
	struct gdump_error *err;

	if (!s)
		return error_nomem();
	*s = (struct sink_put){ .sink = { .ops = &sink_put_ops, .seeks = true }, .fd = -1,
				.replace = opt->force, .cancel = opt->cancel,
				.cancel_arg = opt->cancel_arg };
	if (!opt->spool_dir)
		return error_new(GDUMP_ERR_USAGE,
				 "a dump is uploaded to a URL when it is complete: name a directory for a temporary file");
	s->dir = strdup(opt->spool_dir);
	err = s->dir ? object_open(where, opt->store, sink_put_is_stopped, s, &opt->debug, &s->object) :
		       error_nomem();
	if (err)
		return err;
	s->fd = io_open_temp(s->dir);
	if (s->fd < 0)
		return error_os(errno, "cannot create a temporary file in %s", s->dir);
	*ret = TAKE_PTR(owned);
	return NULL;
}

/* The server cannot be asked: that the URL allows writing says nothing about reading. */
struct gdump_error *sink_put_try(const char *where, const struct sink_options *opt)
{
	CLEANUP_OBJECT struct object *object = NULL;
	CLEANUP_HTTP struct http *h = NULL;
	struct gdump_error *err = object_open(where, opt->store, NULL, NULL, &opt->debug, &object);

	return err ? err : object_connect(object, &h);
}
