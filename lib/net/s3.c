/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * s3.c - the requests of a multipart upload (facts: the Amazon S3 API reference)
 *
 * Content-MD5, which is among the signed headers, binds a part to its request, and the server
 * compares it; we compare the ETag that it answers with.  So the body itself is not signed.
 *
 * The query is in the order and the form of the canonical request, as libcurl 7.88 signs it as it
 * is.
 */
#include "s3.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum { TRIES = 6, FEW_TRIES = 3, FIRST_DELAY_MS = 500, DISCARD_S = 10 };

struct s3 {
	struct http_settings settings;
	struct debug debug;
	char *where;                    /* for messages                         */
	char *url;                      /* of the object                        */
	char *access_key, *secret_key, *ca_file, *proxy, *no_proxy, *signer;
	char *token_header;             /* NULL: there is no token              */
	char *upload;                   /* its id, encoded; NULL: none          */
};

bool s3_is_name(const char *where)
{
	return !strncmp(where, "s3://", 5);
}

/* --- names --- */

/* A format like printf()'s; NULL: no memory */
static char *PRINTF(1, 2) s3_format(const char *fmt, ...)
{
	va_list ap;
	char *ret;

	va_start(ap, fmt);
	if (vasprintf(&ret, fmt, ap) < 0)
		ret = NULL;
	va_end(ap);
	return ret;
}

/* @text as a part of a URL, to be freed; @slashes: they stay.  NULL: no memory */
static char *s3_encode(const char *text, bool slashes)
{
	char *ret = malloc(3 * strlen(text) + 1), *to = ret;

	for (; ret && *text; text++) {
		const unsigned char c = (unsigned char)*text;

		if ((c < 128 && isalnum(c)) || strchr("-_.~", c) || (c == '/' && slashes))
			*to++ = (char)c;
		else
			to += sprintf(to, "%%%02X", c);
	}
	if (ret)
		*to = 0;
	return ret;
}

static bool s3_is_host(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)text[i]) && !strchr("-_.", text[i]))
			return false;
	}
	return len > 0;
}

static struct gdump_error *s3_check_endpoint(const char *endpoint)
{
	if ((strncmp(endpoint, "http://", 7) && strncmp(endpoint, "https://", 8)) ||
	    strpbrk(endpoint, "@?# "))
		return error_new(GDUMP_ERR_USAGE,
				 "the S3 endpoint is not a URL such as https://HOST or http://HOST:PORT");
	return NULL;
}

/* Amazon wants the bucket in the host's name; its certificate does not cover a name with dots. */
static char *s3_url(const struct gdump_store_options *store, const char *region, const char *bucket,
		    size_t bucket_len, const char *key)
{
	const int len = (int)bucket_len;
	size_t end;

	if (!store->endpoint)
		return memchr(bucket, '.', bucket_len) ?
		       s3_format("https://s3.%s.amazonaws.com/%.*s/%s", region, len, bucket, key) :
		       s3_format("https://%.*s.s3.%s.amazonaws.com/%s", len, bucket, region, key);
	end = strlen(store->endpoint);
	while (end && store->endpoint[end - 1] == '/')
		end--;
	return s3_format("%.*s/%.*s/%s", (int)end, store->endpoint, len, bucket, key);
}

/* Split @where into a bucket and a key, and derive the URL. */
static struct gdump_error *s3_locate(struct s3 *s, const struct gdump_store_options *store,
				     const char *region)
{
	const char *bucket = s->where + strlen("s3://"), *slash = strchr(bucket, '/');
	struct gdump_error *err = store->endpoint ? s3_check_endpoint(store->endpoint) : NULL;
	CLEANUP_FREE char *key = NULL;

	if (err)
		return err;
	if (!slash || !slash[1] || !s3_is_host(bucket, (size_t)(slash - bucket)))
		return error_new(GDUMP_ERR_USAGE, "%s: this is not the name of an object, s3://BUCKET/KEY",
				 s->where);
	if (!s3_is_host(region, strlen(region)))
		return error_new(GDUMP_ERR_USAGE, "'%s' is not the name of a region", region);
	key = s3_encode(slash + 1, true);
	s->url = key ? s3_url(store, region, bucket, (size_t)(slash - bucket), key) : NULL;
	return s->url ? NULL : error_nomem();
}

/* --- create and destroy --- */

static void s3_wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void s3_close(struct s3 *s)
{
	if (!s)
		return;
	s3_wipe(s->access_key);
	s3_wipe(s->secret_key);
	s3_wipe(s->token_header);
	free(s->signer);
	free(s->ca_file);
	free(s->proxy);
	free(s->no_proxy);
	free(s->upload);
	free(s->where);
	free(s->url);
	free(s);
}

static void s3_cleanup(struct s3 **s)
{
	s3_close(*s);
}

/* false: no memory */
static bool s3_copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return !from || *to;
}

static bool s3_copy_all(struct s3 *s, const struct gdump_store_options *store, const char *region)
{
	if (!s3_copy(&s->access_key, store->access_key) || !s3_copy(&s->secret_key, store->secret_key) ||
	    !s3_copy(&s->ca_file, store->ca_file) || !s3_copy(&s->proxy, store->proxy) ||
	    !s3_copy(&s->no_proxy, store->no_proxy))
		return false;
	s->signer = s3_format("aws:amz:%s:s3", region);
	if (store->session_token)
		s->token_header = s3_format("x-amz-security-token: %s", store->session_token);
	return s->signer && !store->session_token == !s->token_header;
}

/* A line break in what becomes a header would begin another one. */
static bool s3_is_one_line(const char *text)
{
	return !text || !strpbrk(text, "\r\n");
}

static struct gdump_error *s3_check_keys(const struct gdump_store_options *store)
{
	if (!store->access_key != !store->secret_key)
		return error_new(GDUMP_ERR_USAGE,
				 "of the credentials for S3, either the access key or the secret key is missing");
	if (!s3_is_one_line(store->access_key) || !s3_is_one_line(store->secret_key) ||
	    !s3_is_one_line(store->session_token))
		return error_new(GDUMP_ERR_USAGE, "the credentials for S3 contain a line break");
	return NULL;
}

struct gdump_error *s3_open(const char *where, const struct gdump_store_options *store,
			    gdump_cancel_fn *stop, void *stop_arg, const struct debug *debug,
			    struct s3 **ret)
{
	static const struct gdump_store_options none;
	__attribute__((__cleanup__(s3_cleanup))) struct s3 *s = calloc(1, sizeof(*s));
	const char *region;
	struct gdump_error *err;

	store = store ? store : &none;
	region = store->region ? store->region : "us-east-1";
	if (!s || !s3_copy(&s->where, where) || !s3_copy_all(s, store, region))
		return error_nomem();
	err = s3_check_keys(store);
	if (!err)
		err = s3_locate(s, store, region);
	if (err)
		return err;
	s->debug = *debug;
	s->settings = (struct http_settings){
		.access_key = s->access_key, .secret_key = s->secret_key, .signer = s->signer,
		.ca_file = s->ca_file, .proxy = s->proxy, .no_proxy = s->no_proxy,
		.stop = stop, .stop_arg = stop_arg,
	};
	*ret = TAKE_PTR(s);
	return NULL;
}

struct gdump_error *s3_connect(const struct s3 *s, struct http **ret)
{
	return error_prefix(http_open(&s->settings, ret), "%s", s->where);
}

/* --- requests --- */

struct s3_call {
	const char *what;               /* "VERB OBJECT", after "cannot"        */
	const char *method, *query;     /* "": none                             */
	const char *headers[4];         /* besides those of all requests        */
	const void *body;
	size_t len;
	unsigned int tries, limit_s;
	const unsigned char *md5;       /* the ETag must be this one; NULL: any */
};

/* The text of element @name, without control characters; "": there is none */
static void s3_element(const char *xml, const char *name, char *ret, size_t size)
{
	CLEANUP_FREE char *tag = s3_format("<%s>", name);
	const char *from = tag ? strstr(xml, tag) : NULL;
	size_t len = 0;

	if (from) {
		for (from += strlen(tag); *from && *from != '<' && len + 1 < size; from++)
			ret[len++] = iscntrl((unsigned char)*from) ? ' ' : *from;
	}
	ret[len] = 0;
}

static bool s3_is_error(const struct http_reply *reply, const char *code)
{
	char got[64];

	s3_element(reply->body, "Code", got, sizeof(got));
	return !strcmp(got, code);
}

/* Whether the same request may well succeed a little later */
static bool s3_is_transient(const struct http_reply *reply)
{
	if (!reply->status)
		return !reply->hopeless;
	if (reply->status / 100 == 2)
		return s3_is_error(reply, "InternalError") || s3_is_error(reply, "SlowDown") ||
		       s3_is_error(reply, "ServiceUnavailable");
	return reply->status == 408 || reply->status == 429 || reply->status == 500 ||
	       reply->status == 502 || reply->status == 503 || reply->status == 504 ||
	       s3_is_error(reply, "RequestTimeout") || s3_is_error(reply, "BadDigest");
}

static bool s3_has_wrong_etag(const struct http_reply *reply, const unsigned char *md5)
{
	return md5 && reply->status == 200 && !reply->etag_is_opaque && strlen(reply->etag) == 2 * MD5_SIZE &&
	       strcasecmp(reply->etag, md5_to_hex(md5).text);
}

/* Twice as long each time, and somewhere between half of that and all of it, so that the parts that
 * fail together do not come again together
 */
static unsigned int s3_delay_ms(unsigned int attempt, unsigned int *seed)
{
	const unsigned int delay = (unsigned int)FIRST_DELAY_MS << attempt;

	return delay / 2 + (unsigned int)rand_r(seed) % (delay / 2 + 1);
}

static int s3_errno(const struct http_reply *reply)
{
	switch (reply->status) {
	case 401: case 403: return EACCES;
	case 404: return ENOENT;
	case 409: case 412: return EEXIST;
	default: return EIO;
	}
}

static struct gdump_error *s3_error(const struct s3 *s, const struct s3_call *call,
				    const struct http_reply *reply)
{
	char code[64], message[200];
	struct gdump_error *err;

	if (s->settings.stop && s->settings.stop(s->settings.stop_arg))
		return error_new(GDUMP_ERR_CANCELED, "canceled");
	s3_element(reply->body, "Code", code, sizeof(code));
	s3_element(reply->body, "Message", message, sizeof(message));
	if (!reply->status)
		err = error_new(GDUMP_ERR_OS, "%s: cannot %s: %s", s->where, call->what, reply->why);
	else if (s3_has_wrong_etag(reply, call->md5))
		err = error_new(GDUMP_ERR_OS,
				"%s: cannot %s: the server received other bytes than were sent, by its checksum",
				s->where, call->what);
	else
		err = error_new(GDUMP_ERR_OS, "%s: cannot %s: the server answered with status %ld%s%s%s%s",
				s->where, call->what, reply->status, *code ? " " : "", code,
				*message ? ": " : "", message);
	if (err != error_nomem())
		err->errnum = s3_errno(reply);
	return err;
}

/* Send the request until there is an answer that counts. */
static struct gdump_error *s3_send(struct s3 *s, struct http *h, const struct s3_call *call,
				   struct http_reply *reply)
{
	const char *headers[8] = { "x-amz-content-sha256: UNSIGNED-PAYLOAD",
				   "Content-Type: application/octet-stream" };
	CLEANUP_FREE char *url = s3_format("%s%s%s", s->url, *call->query ? "?" : "", call->query);
	const struct http_request request = {
		.method = call->method, .url = url, .headers = headers, .body = call->body,
		.len = call->len, .limit_s = call->limit_s,
	};
	unsigned int seed = (unsigned int)(uintptr_t)h ^ (unsigned int)call->len, n = 2;

	if (!url)
		return error_nomem();
	if (s->token_header)
		headers[n++] = s->token_header;
	for (size_t i = 0; i < ARRAY_SIZE(call->headers) && call->headers[i]; i++)
		headers[n++] = call->headers[i];
	for (unsigned int attempt = 0;; attempt++) {
		unsigned int delay;

		http_send(h, &request, reply);
		if (!s3_is_transient(reply) && !s3_has_wrong_etag(reply, call->md5))
			return NULL;
		if (attempt + 1 >= call->tries)
			return s3_error(s, call, reply);
		delay = s3_delay_ms(attempt, &seed);
		debug_log(&s->debug, GDUMP_DEBUG_STEP, "%s: cannot %s (status %ld); trying again in %u ms",
			  s->where, call->what, reply->status, delay);
		if (http_wait(&s->settings, delay))
			return error_new(GDUMP_ERR_CANCELED, "canceled");
	}
}

/* Who may write an object need not be allowed to read it: such a refusal says nothing. */
struct gdump_error *s3_check(struct s3 *s, struct http *h, bool replace)
{
	const struct s3_call call = { .what = "access this object", .method = "GET", .query = "",
				      .headers = { "Range: bytes=0-0" }, .tries = FEW_TRIES };
	CLEANUP_FREE struct http_reply *reply = malloc(sizeof(*reply));
	struct gdump_error *err = reply ? s3_send(s, h, &call, reply) : error_nomem();

	if (err)
		return err;
	if (reply->status == 200 || reply->status == 206 || reply->status == 416) {
		if (replace)
			return NULL;
		err = error_new(GDUMP_ERR_OS, "%s: this object already exists; choose another name or replace it",
				s->where);
		if (err != error_nomem())
			err->errnum = EEXIST;
		return err;
	}
	if ((reply->status == 404 && !s3_is_error(reply, "NoSuchBucket")) ||
	    (reply->status == 403 && s3_is_error(reply, "AccessDenied")))
		return NULL;
	return s3_error(s, &call, reply);
}

struct gdump_error *s3_begin(struct s3 *s, struct http *h)
{
	const struct s3_call call = { .what = "begin the upload", .method = "POST", .query = "uploads=",
				      .tries = TRIES };
	CLEANUP_FREE struct http_reply *reply = malloc(sizeof(*reply));
	struct gdump_error *err = reply ? s3_send(s, h, &call, reply) : error_nomem();
	char upload[1024];

	if (err)
		return err;
	s3_element(reply->body, "UploadId", upload, sizeof(upload));
	if (reply->status != 200 || !*upload)
		return s3_error(s, &call, reply);
	s->upload = s3_encode(upload, false);
	if (!s->upload)
		return error_nomem();
	debug_log(&s->debug, GDUMP_DEBUG_STEP, "%s: the upload has begun; its id is %s", s->where, upload);
	return NULL;
}

bool s3_has_begun(const struct s3 *s)
{
	return s->upload != NULL;
}

struct gdump_error *s3_put_part(struct s3 *s, struct http *h, unsigned int number, const void *buf,
				size_t len, struct s3_part *ret)
{
	CLEANUP_FREE struct http_reply *reply = malloc(sizeof(*reply));
	CLEANUP_FREE char *query = s3_format("partNumber=%u&uploadId=%s", number, s->upload);
	char what[40], checksum[64];
	const struct s3_call call = { .what = what, .method = "PUT", .query = query, .body = buf,
				      .len = len, .headers = { checksum }, .md5 = ret->md5, .tries = TRIES };
	struct gdump_error *err;

	if (!reply || !query)
		return error_nomem();
	md5(buf, len, ret->md5);
	snprintf(what, sizeof(what), "upload part %u", number);
	snprintf(checksum, sizeof(checksum), "Content-MD5: %s", md5_to_base64(ret->md5).text);
	err = s3_send(s, h, &call, reply);
	if (err)
		return err;
	/* it goes into XML */
	if (reply->status != 200 || !reply->etag[0] || strpbrk(reply->etag, "<>&\""))
		return s3_error(s, &call, reply);
	snprintf(ret->etag, sizeof(ret->etag), "%s", reply->etag);
	debug_log(&s->debug, GDUMP_DEBUG_DETAIL, "%s: part %u was uploaded, %zu bytes", s->where, number,
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
	const struct s3_call call = { .what = "read this object", .method = "GET", .query = "",
				      .headers = { "Range: bytes=0-0" }, .tries = FEW_TRIES };
	CLEANUP_FREE struct http_reply *reply = malloc(sizeof(*reply));
	CLEANUP_ERROR struct gdump_error *err = reply ? s3_send(s, h, &call, reply) : error_nomem();

	return !err && reply->status / 100 == 2 && !strcasecmp(reply->etag, etag);
}

/* A server may begin its answer with status 200, and find out later that it fails. */
struct gdump_error *s3_complete(struct s3 *s, struct http *h, const struct s3_part *parts,
				unsigned int num, bool replace)
{
	CLEANUP_FREE struct http_reply *reply = malloc(sizeof(*reply));
	CLEANUP_FREE char *query = s3_format("uploadId=%s", s->upload), *body = NULL;
	struct s3_call call = { .what = "complete the upload", .method = "POST", .tries = TRIES,
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
		err = s3_send(s, h, &call, reply);
	if (err)
		return err;
	if ((reply->status != 200 || !strstr(reply->body, "<CompleteMultipartUploadResult")) &&
	    !((s3_is_error(reply, "NoSuchUpload") || reply->status == 412) &&
	      s3_was_completed(s, h, etag)))
		return s3_error(s, &call, reply);
	free(TAKE_PTR(s->upload));
	return NULL;
}

struct gdump_error *s3_discard(struct s3 *s)
{
	CLEANUP_FREE struct http_reply *reply = malloc(sizeof(*reply));
	CLEANUP_FREE char *query = s3_format("uploadId=%s", s->upload);
	const struct s3_call call = { .what = "abort the upload", .method = "DELETE", .query = query,
				      .tries = FEW_TRIES, .limit_s = DISCARD_S };
	CLEANUP_HTTP struct http *h = NULL;
	struct gdump_error *err = reply && query ? NULL : error_nomem();

	s->settings.stop = NULL;
	if (!err)
		err = s3_connect(s, &h);
	if (!err)
		err = s3_send(s, h, &call, reply);
	if (!err && reply->status / 100 != 2 && reply->status != 404)
		err = s3_error(s, &call, reply);
	if (err)
		return error_prefix(err, "the upload %s remains at the server", s->upload);
	free(TAKE_PTR(s->upload));
	return NULL;
}
