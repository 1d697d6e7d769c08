/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * sink_stream.c - a descriptor: a pipe, a terminal, a device, standard output
 *
 * A regular file (a shell's redirection) is written in place, from its current offset
 * on.  Everything else gets its bytes in ascending order.
 */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/io.h"

struct sink_stream {
	struct sink sink;
	int fd;
	bool owned;                     /* close() closes the descriptor        */
	uint64_t pos;                   /* bytes written; if it seeks, where we began */
};

static struct gdump_error *sink_stream_error(int rc)
{
	return rc ? error_os(rc, "cannot write the output") : NULL;
}

static struct gdump_error *sink_stream_skip(struct sink_stream *f, uint64_t to)
{
	static const unsigned char zeros[65536];

	while (f->pos < to) {
		size_t n = (size_t)MIN(to - f->pos, sizeof(zeros));
		int rc = io_write(f->fd, zeros, n);

		if (rc)
			return sink_stream_error(rc);
		f->pos += n;
	}
	return NULL;
}

static struct gdump_error *sink_stream_write(struct sink *s, uint64_t off, const void *buf,
					     size_t len)
{
	struct sink_stream *f = (struct sink_stream *)s;
	struct gdump_error *err;

	if (s->seeks)
		return sink_stream_error(io_pwrite(f->fd, buf, len, f->pos + off));
	if (off < f->pos)
		return error_new(GDUMP_ERR_USAGE,
				 "the output cannot seek back to offset %" PRIu64
				 "; write to a file, or flattened", off);
	err = sink_stream_skip(f, off);
	if (!err)
		err = sink_stream_error(io_write(f->fd, buf, len));
	if (!err)
		f->pos += len;
	return err;
}

static struct gdump_error *sink_stream_finish(struct sink *s, uint64_t size)
{
	struct sink_stream *f = (struct sink_stream *)s;
	struct stat st;

	if (!s->seeks)
		return sink_stream_skip(f, size);
	if (fstat(f->fd, &st) || ((uint64_t)st.st_size < f->pos + size &&
				  ftruncate(f->fd, (off_t)(f->pos + size))) ||
	    lseek(f->fd, (off_t)(f->pos + size), SEEK_SET) < 0)
		return sink_stream_error(errno);
	return NULL;
}

static void sink_stream_close(struct sink *s)
{
	struct sink_stream *f = (struct sink_stream *)s;

	if (f->owned)
		close(f->fd);
	free(f);
}

static const struct sink_ops sink_stream_ops = {
	.write = sink_stream_write,
	.finish = sink_stream_finish,
	.close = sink_stream_close,
};

struct gdump_error *sink_stream_create(int fd, struct sink **ret)
{
	struct sink_stream *f = calloc(1, sizeof(*f));
	struct stat st;
	off_t at;
	int flags;

	if (!f)
		return error_nomem();
	*f = (struct sink_stream){ .sink.ops = &sink_stream_ops, .fd = fd };
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) {
		free(f);
		return fd == STDOUT_FILENO ? error_os(EBADF, "cannot write to standard output") :
					     error_os(EBADF, "cannot write to descriptor %d", fd);
	}
	at = lseek(fd, 0, SEEK_CUR);
	if (at >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	    !(flags & O_APPEND)) {
		f->sink.seeks = true;
		f->pos = (uint64_t)at;
	}
	*ret = &f->sink;
	return NULL;
}

struct gdump_error *sink_device_create(const char *path, struct sink **ret)
{
	/* the guest may be paused: do not wait for a reader of a FIFO */
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
	struct gdump_error *err;

	if (fd < 0 && errno == ENXIO)
		return error_os(errno, "%s: no process reads from this pipe", path);
	if (fd < 0 || fcntl(fd, F_SETFL, O_WRONLY))
		return error_os(errno, "%s: cannot open", path);
	err = sink_stream_create(fd, ret);
	if (err)
		return err;
	((struct sink_stream *)*ret)->owned = true;
	fd = -1;
	return NULL;
}
