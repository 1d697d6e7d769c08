/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * bytes_file.c - a file or a piece of memory
 *
 * Files are read, not mapped: if another program truncates one meanwhile, that must be
 * an error, not a signal.
 */
#include "bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/io.h"

struct bytes_file {
	struct bytes bytes;
	int fd;
	bool has_holes;                 /* worth asking where                   */
	_Atomic uint64_t data, data_end;        /* no hole is there: saves a system call
						 * for each page.  If another thread
						 * changes one of them only so far, a hole
						 * counts as data, which is read as zeros */
};

struct gdump_error *bytes_read(struct bytes *b, uint64_t off, void *buf, size_t len)
{
	if (!range_fits(off, len, b->size))
		return error_new(GDUMP_ERR_CORRUPT,
				 "%zu bytes at offset %" PRIu64
				 " are past the end of the file (%" PRIu64 " bytes)",
				 len, off, b->size);
	return len ? b->ops->read(b, off, buf, len) : NULL;
}

struct gdump_error *bytes_read_data(struct bytes *b, uint64_t off, void *buf, size_t len)
{
	if (range_fits(off, len, b->size) && !bytes_written(b, off, len))
		return error_new(GDUMP_ERR_CORRUPT,
				 "flattened file: no record, or two, have some of the %zu bytes at offset 0x%" PRIx64,
				 len, off);
	return bytes_read(b, off, buf, len);
}

struct gdump_error *bytes_readv(struct bytes *b, uint64_t off, const struct iovec *iov, int num)
{
	struct gdump_error *err = NULL;
	size_t len = 0;

	for (int i = 0; i < num; i++)
		len += iov[i].iov_len;
	if (b->ops->readv && range_fits(off, len, b->size))
		return b->ops->readv(b, off, iov, num);
	for (int i = 0; !err && i < num; off += iov[i++].iov_len)
		err = bytes_read(b, off, iov[i].iov_base, iov[i].iov_len);
	return err;
}

static struct gdump_error *bytes_file_read(struct bytes *b, uint64_t off, void *buf, size_t len)
{
	struct bytes_file *f = (struct bytes_file *)b;
	size_t got;
	int rc = io_pread(f->fd, buf, len, off, &got);

	if (rc)
		return error_os(rc, "cannot read %zu bytes at offset %" PRIu64, len, off);
	if (got < len)
		return error_new(GDUMP_ERR_CORRUPT, "the file became shorter while it was read");
	return NULL;
}

static struct gdump_error *bytes_file_readv(struct bytes *b, uint64_t off, const struct iovec *iov,
					    int num)
{
	struct bytes_file *f = (struct bytes_file *)b;
	ssize_t got = preadv(f->fd, iov, num, (off_t)off);
	size_t left = got < 0 ? 0 : (size_t)got;
	struct gdump_error *err = NULL;

	/* read the rest, if any, one by one: bytes_file_read() reports the error */
	for (int i = 0; !err && i < num; off += iov[i++].iov_len) {
		if (left < iov[i].iov_len)
			err = bytes_file_read(b, off, iov[i].iov_base, iov[i].iov_len);
		left -= MIN(left, iov[i].iov_len);
	}
	return err;
}

static bool bytes_file_is_data(const struct bytes_file *f, uint64_t off)
{
	return off >= atomic_load_explicit(&f->data, memory_order_relaxed) &&
	       off < atomic_load_explicit(&f->data_end, memory_order_relaxed);
}

/* There is data at @off: note where it ends. */
static void bytes_file_note_data(struct bytes_file *f, uint64_t off)
{
	const off_t end = lseek(f->fd, (off_t)off, SEEK_HOLE);

	if (end < 0)
		return;
	atomic_store_explicit(&f->data, off, memory_order_relaxed);
	atomic_store_explicit(&f->data_end, (uint64_t)end, memory_order_relaxed);
}

static uint64_t bytes_file_hole(struct bytes *b, uint64_t off, uint64_t len)
{
	struct bytes_file *f = (struct bytes_file *)b;
	off_t data;

	if (!f->has_holes || bytes_file_is_data(f, off))
		return 0;
	data = lseek(f->fd, (off_t)off, SEEK_DATA);
	if (data < 0)
		return errno == ENXIO && off < b->size ? MIN(len, b->size - off) : 0;
	if ((uint64_t)data == off)
		bytes_file_note_data(f, off);
	return MIN(len, (uint64_t)data - off);
}

static void bytes_file_close(struct bytes *b)
{
	struct bytes_file *f = (struct bytes_file *)b;

	close(f->fd);
	free(f);
}

static const struct bytes_ops bytes_file_ops = {
	.read = bytes_file_read,
	.readv = bytes_file_readv,
	.hole = bytes_file_hole,
	.close = bytes_file_close,
};

struct gdump_error *bytes_fd_open(int file, struct bytes **ret)
{
	CLEANUP_FD int fd = file;
	const off_t size = lseek(fd, 0, SEEK_END);
	struct bytes_file *f;
	struct stat st;

	if (size < 0 || fstat(fd, &st))
		return error_os(errno, "cannot read the size of the file");
	f = calloc(1, sizeof(*f));
	if (!f)
		return error_nomem();
	f->bytes = (struct bytes){ .ops = &bytes_file_ops, .size = (uint64_t)size, .kind = "" };
	f->has_holes = S_ISREG(st.st_mode) && (uint64_t)st.st_blocks * 512 < (uint64_t)size;
	f->fd = TAKE_FD(fd);
	*ret = &f->bytes;
	return NULL;
}

struct gdump_error *bytes_file_open(const char *path, const struct bytes_spool *spool,
				    struct bytes **ret)
{
	const bool is_stdin = !strcmp(path, "-");
	CLEANUP_FD int fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
				     : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	off_t size;

	if (fd < 0 && errno == ENXIO)
		return error_new(GDUMP_ERR_USAGE,
				 "this is a socket, not a dump; did you mean qmp:%s?", path);
	if (fd < 0 || fstat(fd, &st))
		return error_os(errno, "cannot open");
	if (S_ISDIR(st.st_mode))
		return error_new(GDUMP_ERR_USAGE, "this is a directory, not a dump");
	size = lseek(fd, 0, SEEK_END);
	if (!size && S_ISCHR(st.st_mode))
		return error_new(GDUMP_ERR_FORMAT, "%s is a device, not a dump",
				 is_stdin ? "standard input" : "this");
	if (size < 0 && errno != ESPIPE)
		return error_os(errno, "cannot find the end of the file");
	if (size < 0) {
		int temp = -1;
		struct gdump_error *err = bytes_spool_create(fd, spool, &temp);

		if (err)
			return err;
		close(fd);
		fd = temp;
	}
	return bytes_fd_open(TAKE_FD(fd), ret);
}

static struct gdump_error *bytes_memory_read(struct bytes *b, uint64_t off, void *buf, size_t len)
{
	memcpy(buf, b->map + off, len);
	return NULL;
}

static void bytes_memory_close(struct bytes *b)
{
	free(b);
}

static const struct bytes_ops bytes_memory_ops = {
	.read = bytes_memory_read,
	.close = bytes_memory_close,
};

struct gdump_error *bytes_memory_open(const void *buf, size_t len, struct bytes **ret)
{
	struct bytes *b = calloc(1, sizeof(*b));

	if (!b)
		return error_nomem();
	*b = (struct bytes){ .ops = &bytes_memory_ops, .size = len, .map = buf, .kind = "" };
	*ret = b;
	return NULL;
}
