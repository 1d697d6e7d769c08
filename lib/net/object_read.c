/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * object_read.c - ranges of an object (facts: RFC 9110, sections 13 and 14)
 *
 * The first answer says which object it is: by its ETag, or else by the date of its last change.
 * Each further one must be of the same.  We compare by ourselves too, as servers may ignore
 * If-Match.
 */
#include "object.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum { STATUS_PARTIAL = 206, STATUS_FORBIDDEN = 403, STATUS_MISSING = 404, STATUS_GONE = 410,
       STATUS_CHANGED = 412, STATUS_EMPTY = 416 };

static const struct object_call object_read_call = { .what = "read", .method = "GET", .query = "",
						     .tries = OBJECT_TRIES };

static struct gdump_error *object_no_ranges(const struct http_reply *reply)
{
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 reply->status == 200 ?
			 "the server cannot send parts of a file (it ignores Range); read a copy, as in: curl URL | guestdump info -" :
			 "the server sent another part of the file than was asked for");
}

static struct gdump_error *object_changed(void)
{
	return error_new(GDUMP_ERR_CORRUPT, "the object was replaced while it was read");
}

static bool object_is_missing(const struct http_reply *reply)
{
	/* S3 says so to those who may not list the bucket */
	return reply->status == STATUS_MISSING || reply->status == STATUS_GONE ||
	       (reply->status == STATUS_FORBIDDEN && object_is_error(reply, "AccessDenied"));
}

/* Whether the answer has the @len bytes at @off */
static bool object_range_fits(const struct http_reply *reply, uint64_t off, size_t len)
{
	return reply->status == STATUS_PARTIAL && reply->range_off == off && reply->range_len == len &&
	       reply->got == len;
}

/* An answer to the first request: how many bytes of @len it has */
static struct gdump_error *object_take_first(const struct object *o, const struct object_call *call,
					     const struct http_reply *reply, size_t *got,
					     struct object_version *version)
{
	*got = 0;
	*version = (struct object_version){ .size = 0 };
	if (reply->status == STATUS_EMPTY)
		return NULL;
	if (reply->status / 100 != 2)
		return object_error(o, call, reply);
	if (!object_range_fits(reply, 0, (size_t)MIN(reply->total, (uint64_t)call->into_len)))
		return object_no_ranges(reply);
	*got = reply->got;
	version->size = reply->total;
	snprintf(version->etag, sizeof(version->etag), "%s", reply->etag);
	snprintf(version->date, sizeof(version->date), "%s", reply->date);
	return NULL;
}

struct gdump_error *object_read_first(const struct object *o, struct http *h, void *buf, size_t len,
				      size_t *got, struct object_version *version, bool *found)
{
	CLEANUP_FREE struct http_reply *reply = malloc(sizeof(*reply));
	char range[40];
	struct object_call call = object_read_call;
	struct gdump_error *err;

	snprintf(range, sizeof(range), "Range: bytes=0-%zu", len - 1);
	call.headers[0] = range;
	call.into = buf;
	call.into_len = len;
	call.tries = OBJECT_FEW_TRIES;
	err = reply ? object_send(o, h, &call, reply) : error_nomem();
	if (err)
		return err;
	if (found) {
		*found = !object_is_missing(reply);
		if (!*found)
			return NULL;
	}
	return object_take_first(o, &call, reply, got, version);
}

static bool object_is_same(const struct object_version *v, const struct http_reply *reply)
{
	if (reply->total != v->size || strcmp(reply->etag, v->etag))
		return false;
	return v->etag[0] || !strcmp(reply->date, v->date);
}

struct gdump_error *object_read(const struct object *o, struct http *h,
				const struct object_version *version, uint64_t off, void *buf, size_t len)
{
	CLEANUP_FREE struct http_reply *reply = malloc(sizeof(*reply));
	char range[80], match[100];
	struct object_call call = object_read_call;
	struct gdump_error *err;

	snprintf(range, sizeof(range), "Range: bytes=%" PRIu64 "-%" PRIu64, off, off + len - 1);
	snprintf(match, sizeof(match), "If-Match: \"%s\"", version->etag);
	call.headers[0] = range;
	call.headers[1] = version->etag[0] ? match : NULL;
	call.into = buf;
	call.into_len = len;
	err = reply ? object_send(o, h, &call, reply) : error_nomem();
	if (err)
		return err;
	if (reply->status == STATUS_CHANGED || reply->status == STATUS_EMPTY)
		return object_changed();
	if (reply->status / 100 != 2)
		return object_error(o, &call, reply);
	if (reply->status == STATUS_PARTIAL && !object_is_same(version, reply))
		return object_changed();
	return object_range_fits(reply, off, len) ? NULL : object_no_ranges(reply);
}
