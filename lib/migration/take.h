/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * migration/take.h - bytes of a migration stream, for those who take it apart
 *
 * They go through one buffer of 1 MiB that is filled by large reads; what is looked
 * at lies in it in one piece, so a page costs no copy and no allocation.
 */
#pragma once

#include "../util/be.h"
#include "migration.h"

enum {
	STREAM_BUF_SIZE = 1 << 20,
	LOOK_AHEAD = 16,                /* bytes needed to judge a footer       */
};

/* Have @n bytes in the buffer, or as many as there are. */
MUST_CHECK struct gdump_error *stream_fill(struct migration *m, size_t n);
/* The next @n bytes, up to STREAM_BUF_SIZE; *ret is valid until the next call.  At
 * the end of the stream GDUMP_ERR_CORRUPT, and ->ended.
 */
MUST_CHECK struct gdump_error *stream_take(struct migration *m, size_t n,
					   const unsigned char **ret);
MUST_CHECK struct gdump_error *stream_take_u8(struct migration *m, uint8_t *ret);
MUST_CHECK struct gdump_error *stream_take_u32(struct migration *m, uint32_t *ret);
MUST_CHECK struct gdump_error *stream_take_u64(struct migration *m, uint64_t *ret);
/* A byte of length and as many characters; @name has room for 256. */
MUST_CHECK struct gdump_error *stream_take_name(struct migration *m, char *name);
bool stream_is_name(const unsigned char *p, size_t len);

/* What a START, PART or END of the RAM holds (ram.c) */
MUST_CHECK struct gdump_error *stream_take_ram(struct migration *m);

/* Errors with the place in the stream; @fmt has one %s, for @what. */
MUST_CHECK struct gdump_error *stream_corrupt(const struct migration *m, const char *fmt,
					      const char *what);
MUST_CHECK struct gdump_error *stream_unsupported(const struct migration *m, const char *why);
