/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * unwrap_zstd.c - zstd files, by libzstd, which compares the checksums that frames have
 */
#include "wrapped.h"

#ifdef HAVE_ZSTD

#include <stdlib.h>
#include <zstd.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum { MAX_WINDOW_BITS = 27 };          /* as the program zstd has it           */

/* Decompress what @from has; *@left is 0 after a whole frame. */
static struct gdump_error *zstd_inflate(ZSTD_DCtx *d, ZSTD_inBuffer *from, struct unwrap_out *out,
					unsigned char *buf, size_t *left)
{
	struct gdump_error *err = NULL;
	bool full;

	do {
		ZSTD_outBuffer to = { .dst = buf, .size = UNWRAP_CHUNK };

		*left = ZSTD_decompressStream(d, &to, from);
		if (ZSTD_isError(*left))
			return error_new(GDUMP_ERR_CORRUPT, "it is damaged: %s",
					 ZSTD_getErrorName(*left));
		full = to.pos == to.size;
		err = unwrap_put(out, buf, to.pos);
	} while (!err && (from->pos < from->size || (full && *left)));
	return err;
}

struct gdump_error *unwrap_zstd(struct bytes *in, struct unwrap_out *out)
{
	CLEANUP_FREE unsigned char *buf = malloc(2 * UNWRAP_CHUNK);
	ZSTD_DCtx *d = ZSTD_createDCtx();
	struct gdump_error *err = buf && d ? NULL : error_nomem();
	size_t left = 0, len;

	if (!err)
		ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, MAX_WINDOW_BITS);
	for (uint64_t pos = 0; !err && pos < in->size; pos += len) {
		ZSTD_inBuffer from = { .src = buf + UNWRAP_CHUNK };

		len = from.size = (size_t)MIN(in->size - pos, (uint64_t)UNWRAP_CHUNK);
		err = bytes_read(in, pos, buf + UNWRAP_CHUNK, len);
		if (!err)
			err = zstd_inflate(d, &from, out, buf, &left);
	}
	if (!err && left)
		err = error_new(GDUMP_ERR_CORRUPT, "it ends early");
	ZSTD_freeDCtx(d);
	return err;
}

#else

struct gdump_error *unwrap_zstd(struct bytes *in, struct unwrap_out *out)
{
	(void)in, (void)out;
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "this build is without libzstd; decompress it first, as in: zstdcat FILE | guestdump info -");
}

#endif
