/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * bytes_spool.c - copy input that cannot seek to a file without a name
 *
 * Dumps are read in no particular order, so all of a pipe is copied first.  Blocks of
 * zeros become holes.
 */
#include "bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/io.h"

enum { CHUNK = 1 << 20, BLOCK = 4096 };

int bytes_spool_store(int fd, const unsigned char *buf, size_t len, uint64_t off)
{
	for (size_t i = 0, n; i < len; i += n) {
		const bool whole = len - i >= BLOCK;
		int rc;

		n = MIN(len - i, BLOCK);
		if (whole && is_zero(buf + i, BLOCK))
			continue;
		while (len - i - n >= BLOCK && !is_zero(buf + i + n, BLOCK))
			n += BLOCK;
		rc = io_pwrite(fd, buf + i, n, off + i);
		if (rc)
			return rc;
	}
	return 0;
}

static struct gdump_error *spool_copy(int from, int to, const struct bytes_spool *spool)
{
	CLEANUP_FREE unsigned char *buf = malloc(CHUNK);
	uint64_t off = 0;
	size_t len = 0;
	ssize_t n;
	int rc = 0;

	if (!buf)
		return error_nomem();
	do {
		if (spool->progress && spool->progress(spool->progress_arg, off + len, 0))
			return error_new(GDUMP_ERR_CANCELED, "canceled");
		n = read(from, buf + len, CHUNK - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_os(errno, "cannot read");
		len += (size_t)n;
		if (n && len < CHUNK)
			continue;
		rc = bytes_spool_store(to, buf, len, off);
		off += len;
		len = 0;
	} while (n && !rc);
	if (!rc && ftruncate(to, (off_t)off))
		rc = errno;
	return rc ? error_os(rc, "cannot write a temporary copy in %s", spool->dir) : NULL;
}

struct gdump_error *bytes_spool_create(int fd, const struct bytes_spool *spool, int *ret)
{
	CLEANUP_FD int temp = -1;
	struct gdump_error *err;

	if (!spool || !spool->dir)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "this input cannot seek; write it to a file first");
	temp = io_open_temp(spool->dir);
	if (temp < 0)
		return error_os(errno, "cannot create a temporary file in %s", spool->dir);
	err = spool_copy(fd, temp, spool);
	if (!err)
		*ret = TAKE_FD(temp);
	return err;
}
