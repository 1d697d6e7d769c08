/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * wrapped.h - files that were compressed as a whole, and what decompresses them
 *
 *     bytes_wrapped.c   recognizes them, and copies their contents to a file without a name
 *     unwrap_gzip.c, unwrap_zstd.c, unwrap_archive.c
 *                       decompressors; the last one is libarchive, for xz, bzip2 and lz4
 *     bytes_tar.c       the one dump in a tar archive
 *
 * Each decompressor compares the checksums that its format has.
 */
#pragma once

#include "bytes.h"

/* What is decompressed goes here. */
struct unwrap_out {
	const struct bytes_spool *spool;
	int fd;
	uint64_t size;                  /* so far                               */
	uint64_t checked;               /* the size when the free space was looked at last */
};

/* Append @len bytes. */
MUST_CHECK struct gdump_error *unwrap_put(struct unwrap_out *out, const void *buf, size_t len);

/* Decompress all of @in.  GDUMP_ERR_CORRUPT: it is damaged, or ends early; GDUMP_ERR_UNSUPPORTED: the
 * library is missing.
 */
MUST_CHECK struct gdump_error *unwrap_gzip(struct bytes *in, struct unwrap_out *out);
MUST_CHECK struct gdump_error *unwrap_zstd(struct bytes *in, struct unwrap_out *out);
MUST_CHECK struct gdump_error *unwrap_archive(struct bytes *in, struct unwrap_out *out);

enum { UNWRAP_CHUNK = 1 << 18 };        /* bytes at once                        */
