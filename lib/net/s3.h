/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * s3.h - an object in S3, or in a store that speaks its protocol, uploaded in parts
 *
 * s3_begin() starts the upload, s3_put_part() sends a part, in any order, and s3_complete() makes
 * the object of them; until then, nobody sees anything of it.  s3_discard() removes the parts.
 * Each thread that sends requests has a struct http of its own.
 */
#pragma once

#include "object.h"

enum { S3_PARTS_MOST = 10000 };
#define S3_PART_LEAST (UINT64_C(5) << 20)       /* bytes, but for the last one  */
#define S3_PART_MOST (UINT64_C(5) << 30)

struct s3_part {
	unsigned char md5[MD5_SIZE];
	char etag[80];
};

struct s3;

/* For the object @where, "s3://BUCKET/KEY".  @store is copied; NULL: its defaults.  @stop is asked
 * on the threads of requests, and ends them; NULL: nothing does.
 */
MUST_CHECK struct gdump_error *s3_open(const char *where, const struct gdump_store_options *store,
				       gdump_cancel_fn *stop, void *stop_arg,
				       const struct debug *debug, struct s3 **ret);
/* @s may be NULL. */
void s3_close(struct s3 *s);
MUST_CHECK struct gdump_error *s3_connect(const struct s3 *s, struct http **ret);

/* Whether the object could be written; leaves no trace.  @replace: it may exist. */
MUST_CHECK struct gdump_error *s3_check(struct s3 *s, struct http *h, bool replace);
MUST_CHECK struct gdump_error *s3_begin(struct s3 *s, struct http *h);
/* The upload @id, as in a message to the guard, was begun by another process; discard it. */
MUST_CHECK struct gdump_error *s3_adopt(struct s3 *s, const char *id);
/* Whether there is an upload that was neither completed nor discarded */
bool s3_has_begun(const struct s3 *s);
/* Send part @number, from 1 on.  From any thread */
MUST_CHECK struct gdump_error *s3_put_part(struct s3 *s, struct http *h, unsigned int number,
					   const void *buf, size_t len, struct s3_part *ret);
/* Make the object of the @num parts. */
MUST_CHECK struct gdump_error *s3_complete(struct s3 *s, struct http *h, const struct s3_part *parts,
					   unsigned int num, bool replace);
/* Remove the parts; it is tried for seconds only, and @stop is not asked. */
MUST_CHECK struct gdump_error *s3_discard(struct s3 *s);
