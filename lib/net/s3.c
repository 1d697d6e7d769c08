/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * s3.c - the requests of a multipart upload (facts: the Amazon S3 API reference)
 *
 * Content-MD5, which is among the signed headers, binds a part to its request, and the server
 * compares it; we compare the ETag that it answers with.  So the body itself is not signed.
 */
#include "s3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum { DISCARD_S = 10 };

struct s3 {
	struct object *object;
	int guard_fd;                   /* 0: none                              */
	char *upload;                   /* its id, encoded; NULL: none          */
};

void s3_close(struct s3 *s)
{
	if (!s)
		return;
	object_close(s->object);
	free(s->upload);
	free(s);
}

struct gdump_error *s3_open(const char *where, const struct gdump_store_options *store,
			    gdump_cancel_fn *stop, void *stop_arg, const struct debug *debug,
			    struct s3 **ret)
{
	struct s3 *s = calloc(1, sizeof(*s));
	struct gdump_error *err = s ? object_open(where, store, stop, stop_arg, debug, &s->object) :
				      error_nomem();

	if (err) {
		free(s);
		return err;
	}
	s->guard_fd = store ? store->guard_fd : 0;
	*ret = s;
	return NULL;
}

struct gdump_error *s3_connect(const struct s3 *s, struct http **ret)
{
	return object_connect(s->object, ret);
}

/* Who may write an object need not be allowed to read it: such a refusal says nothing. */
struct gdump_error *s3_check(struct s3 *s, struct http *h, bool replace)
{
	const struct object_call call = { .what = "access this object", .method = "GET", .query = "",
				      .headers = { "Range: bytes=0-0" }, .tries = OBJECT_FEW_TRIES };
	CLEANUP_FREE struct http_reply *reply = malloc(sizeof(*reply));
	struct gdump_error *err = reply ? object_send(s->object, h, &call, reply) : error_nomem();

	if (err)
		return err;
	if (reply->status == 200 || reply->status == 206 || reply->status == 416) {
		if (replace)
			return NULL;
		err = error_new(GDUMP_ERR_OS, "%s: this object already exists; choose another name or replace it",
				s->object->where);
		if (err != error_nomem())
			err->errnum = EEXIST;
		return err;
	}
	if ((reply->status == 404 && !object_is_error(reply, "NoSuchBucket")) ||
	    (reply->status == 403 && object_is_error(reply, "AccessDenied")))
		return NULL;
	return object_error(s->object, &call, reply);
}

/* Report to the guard that the upload has begun ('+') or is not there any more ('-'). */
static void s3_note(const struct s3 *s, char what)
{
	CLEANUP_FREE char *text = s->guard_fd ? object_format("%c%s %s", what, s->upload, s->object->where) :
						NULL;

	if (text && send(s->guard_fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		debug_log(&s->object->debug, GDUMP_DEBUG_STEP, "%s: the guard cannot be reached",
			  s->object->where);
}

struct gdump_error *s3_begin(struct s3 *s, struct http *h)
{
	const struct object_call call = { .what = "begin the upload", .method = "POST", .query = "uploads=",
				      .tries = OBJECT_TRIES };
	CLEANUP_FREE struct http_reply *reply = malloc(sizeof(*reply));
	struct gdump_error *err = reply ? object_send(s->object, h, &call, reply) : error_nomem();
	char upload[1024];

	if (err)
		return err;
	object_element(reply->body, "UploadId", upload, sizeof(upload));
	if (reply->status != 200 || !*upload)
		return object_error(s->object, &call, reply);
	s->upload = object_encode(upload, false);
	if (!s->upload)
		return error_nomem();
	s3_note(s, '+');
	debug_log(&s->object->debug, GDUMP_DEBUG_STEP, "%s: the upload has begun; its id is %s", s->object->where, upload);
	return NULL;
}

struct gdump_error *s3_adopt(struct s3 *s, const char *id)
{
	s->upload = strdup(id);
	return s->upload ? NULL : error_nomem();
}

bool s3_has_begun(const struct s3 *s)
{
	return s->upload != NULL;
}

struct gdump_error *s3_put_part(struct s3 *s, struct http *h, unsigned int number, const void *buf,
				size_t len, struct s3_part *ret)
{
	CLEANUP_FREE struct http_reply *reply = malloc(sizeof(*reply));
	CLEANUP_FREE char *query = object_format("partNumber=%u&uploadId=%s", number, s->upload);
	char what[40], checksum[64];
	const struct object_call call = { .what = what, .method = "PUT", .query = query, .body = buf,
				      .len = len, .headers = { checksum }, .md5 = ret->md5, .tries = OBJECT_TRIES };
	struct gdump_error *err;

	if (!reply || !query)
		return error_nomem();
	md5(buf, len, ret->md5);
	snprintf(what, sizeof(what), "upload part %u", number);
	snprintf(checksum, sizeof(checksum), "Content-MD5: %s", md5_to_base64(ret->md5).text);
	err = object_send(s->object, h, &call, reply);
	if (err)
		return err;
	/* it goes into XML */
	if (reply->status != 200 || !reply->etag[0] || strpbrk(reply->etag, "<>&\""))
		return object_error(s->object, &call, reply);
	snprintf(ret->etag, sizeof(ret->etag), "%s", reply->etag);
	debug_log(&s->object->debug, GDUMP_DEBUG_DETAIL, "%s: part %u was uploaded, %zu bytes", s->object->where, number,
		  len);
	return NULL;
}

/* The list of parts, to be freed; NULL: no memory */
static char *s3_list_parts(const struct s3_part *parts, unsigned int num, size_t *len)
{
	char *ret = NULL;
	FILE *f = open_memstream(&ret, len);
	bool good;

	if (!f)
		return NULL;
	fputs("<CompleteMultipartUpload>", f);
	for (unsigned int i = 0; i < num; i++)
		fprintf(f, "<Part><PartNumber>%u</PartNumber><ETag>&quot;%s&quot;</ETag></Part>", i + 1,
			parts[i].etag);
	fputs("</CompleteMultipartUpload>", f);
	good = !ferror(f);
	if (!fclose(f) && good)
		return ret;
	free(ret);
	return NULL;
}

/* What the ETag of the object will be, where it is a checksum at all: the MD5 of the MD5s */
static struct gdump_error *s3_sum_parts(const struct s3_part *parts, unsigned int num, char *ret,
					size_t size)
{
	CLEANUP_FREE unsigned char *sums = malloc((size_t)num * MD5_SIZE);
	unsigned char sum[MD5_SIZE];

	if (!sums)
		return error_nomem();
	for (unsigned int i = 0; i < num; i++)
		memcpy(sums + (size_t)i * MD5_SIZE, parts[i].md5, MD5_SIZE);
	md5(sums, (size_t)num * MD5_SIZE, sum);
	snprintf(ret, size, "%s-%u", md5_to_hex(sum).text, num);
	return NULL;
}

/* The upload does not exist any more, or its object does exist: was it completed by a request whose answer was lost? */
static bool s3_was_completed(struct s3 *s, struct http *h, const char *etag)
{
	const struct object_call call = { .what = "read this object", .method = "GET", .query = "",
				      .headers = { "Range: bytes=0-0" }, .tries = OBJECT_FEW_TRIES };
	CLEANUP_FREE struct http_reply *reply = malloc(sizeof(*reply));
	CLEANUP_ERROR struct gdump_error *err = reply ? object_send(s->object, h, &call, reply) : error_nomem();

	return !err && reply->status / 100 == 2 && !strcasecmp(reply->etag, etag);
}

/* A server may begin its answer with status 200, and find out later that it fails. */
struct gdump_error *s3_complete(struct s3 *s, struct http *h, const struct s3_part *parts,
				unsigned int num, bool replace)
{
	CLEANUP_FREE struct http_reply *reply = malloc(sizeof(*reply));
	CLEANUP_FREE char *query = object_format("uploadId=%s", s->upload), *body = NULL;
	struct object_call call = { .what = "complete the upload", .method = "POST", .tries = OBJECT_TRIES,
				.headers = { replace ? NULL : "If-None-Match: *" } };
	struct gdump_error *err;
	char etag[60];

	body = s3_list_parts(parts, num, &call.len);
	if (!reply || !query || !body)
		return error_nomem();
	err = s3_sum_parts(parts, num, etag, sizeof(etag));
	call.query = query;
	call.body = body;
	if (!err)
		err = object_send(s->object, h, &call, reply);
	if (err)
		return err;
	if ((reply->status != 200 || !strstr(reply->body, "<CompleteMultipartUploadResult")) &&
	    !((object_is_error(reply, "NoSuchUpload") || reply->status == 412) &&
	      s3_was_completed(s, h, etag)))
		return object_error(s->object, &call, reply);
	s3_note(s, '-');
	free(TAKE_PTR(s->upload));
	return NULL;
}

struct gdump_error *s3_discard(struct s3 *s)
{
	CLEANUP_FREE struct http_reply *reply = malloc(sizeof(*reply));
	CLEANUP_FREE char *query = object_format("uploadId=%s", s->upload);
	const struct object_call call = { .what = "abort the upload", .method = "DELETE", .query = query,
				      .tries = OBJECT_FEW_TRIES, .limit_s = DISCARD_S };
	CLEANUP_HTTP struct http *h = NULL;
	struct gdump_error *err = reply && query ? NULL : error_nomem();

	s->object->settings.stop = NULL;
	if (!err)
		err = object_connect(s->object, &h);
	if (!err)
		err = object_send(s->object, h, &call, reply);
	if (!err && reply->status / 100 != 2 && reply->status != 404)
		err = object_error(s->object, &call, reply);
	if (err)
		return error_prefix(err, "the upload %s remains at the server", s->upload);
	s3_note(s, '-');
	free(TAKE_PTR(s->upload));
	return NULL;
}
