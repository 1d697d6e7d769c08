/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * bytes_wrapped.c - the contents of a compressed file, in a file without a name
 *
 * Dumps are read in no particular order, so a compressed one is decompressed first.  It may become
 * a thousand times as large: some space of the file system remains free.
 */
#include "wrapped.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/io.h"

static const struct wrapping {
	const char *name, *magic;
	struct gdump_error *(*unwrap)(struct bytes *in, struct unwrap_out *out);
} wrappings[] = {
	{ "gzip",  "\x1f\x8b",         unwrap_gzip },
	{ "zstd",  "\x28\xb5\x2f\xfd", unwrap_zstd },
	{ "xz",    "\xfd" "7zXZ",      unwrap_archive },
	{ "bzip2", "BZh",              unwrap_archive },
	{ "lz4",   "\x04\x22\x4d\x18", unwrap_archive },
};

/* Of the contents of a file; the memory of all guests that can be read is smaller. */
static const uint64_t max_size = (uint64_t)1 << 45;
static const uint64_t check_step = 16 << 20, least_free = 64 << 20;

enum { MAGIC_SIZE = 8 };

static const struct wrapping *wrapped_find(const unsigned char *head)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrappings); i++) {
		if (!memcmp(head, wrappings[i].magic, strlen(wrappings[i].magic)))
			return &wrappings[i];
	}
	return NULL;
}

bool bytes_is_wrapped(int fd)
{
	unsigned char head[MAGIC_SIZE] = { 0 };
	size_t got;

	return !io_pread(fd, head, sizeof(head), 0, &got) && wrapped_find(head);
}

static struct gdump_error *unwrap_check_space(const struct unwrap_out *out)
{
	struct statvfs st;

	if (out->size > max_size)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "decompressed, the file has more than 0x%" PRIx64 " bytes", max_size);
	if (fstatvfs(out->fd, &st) || (uint64_t)st.f_bavail * st.f_frsize >= least_free)
		return NULL;
	return error_os(ENOSPC, "%s has no space for the decompressed file, of which %" PRIu64
			" MiB were written; set TMPDIR to another directory, or decompress it yourself",
			out->spool->dir, out->size >> 20);
}

struct gdump_error *unwrap_put(struct unwrap_out *out, const void *buf, size_t len)
{
	const struct bytes_spool *spool = out->spool;
	struct gdump_error *err = NULL;
	int rc;

	if (out->size - out->checked >= check_step) {
		out->checked = out->size;
		err = unwrap_check_space(out);
	}
	if (err)
		return err;
	if (spool->progress && spool->progress(spool->progress_arg, out->size, 0))
		return error_new(GDUMP_ERR_CANCELED, "canceled");
	rc = bytes_spool_store(out->fd, buf, len, out->size);
	out->size += len;
	return rc ? error_os(rc, "cannot write the decompressed file in %s", spool->dir) : NULL;
}

static struct gdump_error *wrapped_decompress(struct bytes *in, const struct wrapping *w,
					      struct unwrap_out *out, struct bytes **ret)
{
	struct gdump_error *err = unwrap_check_space(out);

	if (!err)
		err = w->unwrap(in, out);
	if (!err && ftruncate(out->fd, (off_t)out->size))
		err = error_os(errno, "cannot write the decompressed file in %s", out->spool->dir);
	if (!err)
		err = bytes_fd_open(dup(out->fd), ret);
	return err && gdump_error_code(err) == GDUMP_ERR_CORRUPT ?
		error_prefix(err, "after %" PRIu64 " bytes of decompressed data", out->size) : err;
}

struct gdump_error *bytes_unwrap(struct bytes *in, const struct bytes_spool *spool,
				 const char **name, struct bytes **ret)
{
	unsigned char head[MAGIC_SIZE] = { 0 };
	const struct wrapping *w;
	struct gdump_error *err = bytes_read(in, 0, head, (size_t)MIN(in->size, sizeof(head)));
	struct unwrap_out out = { .spool = spool };
	CLEANUP_FD int fd = -1;

	*ret = in;
	w = err ? NULL : wrapped_find(head);
	if (!w)
		return err;
	*name = w->name;
	if (!spool || !spool->dir)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the file is compressed with %s; decompress it first", w->name);
	fd = io_open_temp(spool->dir);
	if (fd < 0)
		return error_os(errno, "cannot create a temporary file in %s", spool->dir);
	out.fd = fd;
	err = error_prefix(wrapped_decompress(in, w, &out, ret), "the %s file", w->name);
	if (!err)
		bytes_close(in);
	return err;
}
