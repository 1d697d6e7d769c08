/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * unwrap_gzip.c - gzip files, by zlib: libarchive does not compare their checksums
 */
#include "wrapped.h"

#ifdef HAVE_ZLIB

#include <string.h>
#include <zlib.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum { GZIP_WINDOW = 16 + 15 };         /* gzip's framing, the largest window   */

/* Decompress what @z has as input; *@end: a member of the file is complete. */
static struct gdump_error *gzip_inflate(z_stream *z, struct unwrap_out *out, unsigned char *buf,
					bool *end)
{
	struct gdump_error *err = NULL;
	int rc;

	do {
		z->next_out = buf;
		z->avail_out = UNWRAP_CHUNK;
		rc = inflate(z, Z_NO_FLUSH);
		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
			return error_new(GDUMP_ERR_CORRUPT, "it is damaged: %s",
					 z->msg ? z->msg : "invalid data");
		err = unwrap_put(out, buf, UNWRAP_CHUNK - z->avail_out);
		*end = rc == Z_STREAM_END;
	} while (!err && !*end && (z->avail_in || !z->avail_out) && rc != Z_BUF_ERROR);
	return err;
}

/* Zeros after the last member are padding, as of tapes. */
static bool gzip_is_padding(const z_stream *z)
{
	return !z->next_in[0] && is_zero(z->next_in, z->avail_in);
}

static struct gdump_error *gzip_run(z_stream *z, struct bytes *in, struct unwrap_out *out,
				    unsigned char *buf)
{
	unsigned char *from = buf + UNWRAP_CHUNK;
	struct gdump_error *err = NULL;
	bool end = false;

	for (uint64_t pos = 0; !err && (z->avail_in || pos < in->size);) {
		if (!z->avail_in) {
			z->avail_in = (unsigned int)MIN(in->size - pos, (uint64_t)UNWRAP_CHUNK);
			z->next_in = from;
			err = bytes_read(in, pos, from, z->avail_in);
			pos += z->avail_in;
		}
		if (!err && end && gzip_is_padding(z))
			z->avail_in = 0;
		else if (!err) {
			/* several members follow each other */
			if (end)
				inflateReset(z);
			err = gzip_inflate(z, out, buf, &end);
		}
	}
	if (!err && !end)
		err = error_new(GDUMP_ERR_CORRUPT, "it ends early");
	return err;
}

struct gdump_error *unwrap_gzip(struct bytes *in, struct unwrap_out *out)
{
	CLEANUP_FREE unsigned char *buf = malloc(2 * UNWRAP_CHUNK);
	struct gdump_error *err;
	z_stream z = { 0 };

	if (!buf || inflateInit2(&z, GZIP_WINDOW) != Z_OK)
		return error_nomem();
	err = gzip_run(&z, in, out, buf);
	inflateEnd(&z);
	return err;
}

#else

struct gdump_error *unwrap_gzip(struct bytes *in, struct unwrap_out *out)
{
	(void)in, (void)out;
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "this build is without zlib; decompress it first, as in: zcat FILE | guestdump info -");
}

#endif
