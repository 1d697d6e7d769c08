/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * object.c - requests about an object, which are repeated
 *
 * The query of a signed request is in the order and the form of the canonical request, as libcurl
 * 7.88 signs it as it is.
 */
#include "object.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum { FIRST_DELAY_MS = 500 };

/* --- create and destroy --- */

static void object_wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void object_close(struct object *o)
{
	if (!o)
		return;
	object_wipe(o->access_key);
	object_wipe(o->secret_key);
	object_wipe(o->token_header);
	free(o->signer);
	free(o->ca_file);
	free(o->proxy);
	free(o->no_proxy);
	free(o->where);
	free(o->url);
	free(o);
}

/* false: no memory */
static bool object_copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return !from || *to;
}

static bool object_copy_all(struct object *o, const struct gdump_store_options *store,
			    const char *region)
{
	if (!object_copy(&o->access_key, store->access_key) || !object_copy(&o->secret_key, store->secret_key) ||
	    !object_copy(&o->ca_file, store->ca_file) || !object_copy(&o->proxy, store->proxy) ||
	    !object_copy(&o->no_proxy, store->no_proxy))
		return false;
	o->signer = object_format("aws:amz:%s:s3", region);
	if (store->session_token)
		o->token_header = object_format("x-amz-security-token: %s", store->session_token);
	return o->signer && !store->session_token == !o->token_header;
}

/* A line break in what becomes a header would begin another one. */
static bool object_is_one_line(const char *text)
{
	return !text || !strpbrk(text, "\r\n");
}

static struct gdump_error *object_check_keys(const struct gdump_store_options *store)
{
	if (!store->access_key != !store->secret_key)
		return error_new(GDUMP_ERR_USAGE,
				 "of the credentials for S3, either the access key or the secret key is missing");
	if (!object_is_one_line(store->access_key) || !object_is_one_line(store->secret_key) ||
	    !object_is_one_line(store->session_token))
		return error_new(GDUMP_ERR_USAGE, "the credentials for S3 contain a line break");
	return NULL;
}

struct gdump_error *object_open(const char *where, const struct gdump_store_options *store,
				gdump_cancel_fn *stop, void *stop_arg, const struct debug *debug,
				struct object **ret)
{
	static const struct gdump_store_options none;
	CLEANUP_OBJECT struct object *o = calloc(1, sizeof(*o));
	const char *region;
	struct gdump_error *err;

	store = store ? store : &none;
	region = store->region ? store->region : "us-east-1";
	if (!o || !object_copy_all(o, store, region))
		return error_nomem();
	o->where = object_label(where);
	err = o->where ? object_check_keys(store) : error_nomem();
	if (!err)
		err = object_locate(where, store, region, &o->url);
	if (err)
		return err;
	o->is_signed = object_is_s3(where) && o->access_key;
	o->debug = *debug;
	o->settings = (struct http_settings){
		.access_key = o->is_signed ? o->access_key : NULL, .secret_key = o->secret_key, .signer = o->signer,
		.ca_file = o->ca_file, .proxy = o->proxy, .no_proxy = o->no_proxy,
		.stop = stop, .stop_arg = stop_arg,
	};
	*ret = TAKE_PTR(o);
	return NULL;
}

struct gdump_error *object_connect(const struct object *o, struct http **ret)
{
	return error_prefix(http_open(&o->settings, ret), "%s", o->where);
}

/* --- requests --- */

void object_element(const char *xml, const char *name, char *ret, size_t size)
{
	CLEANUP_FREE char *tag = object_format("<%s>", name);
	const char *from = tag ? strstr(xml, tag) : NULL;
	size_t len = 0;

	if (from) {
		for (from += strlen(tag); *from && *from != '<' && len + 1 < size; from++)
			ret[len++] = iscntrl((unsigned char)*from) ? ' ' : *from;
	}
	ret[len] = 0;
}

bool object_is_error(const struct http_reply *reply, const char *code)
{
	char got[64];

	object_element(reply->body, "Code", got, sizeof(got));
	return !strcmp(got, code);
}

/* Whether the answer ended before its end */
static bool object_is_cut(const struct object_call *call, const struct http_reply *reply)
{
	return call->into && reply->status == 206 && reply->got < reply->range_len;
}

/* Whether the same request may well succeed a little later */
static bool object_is_transient(const struct object_call *call, const struct http_reply *reply)
{
	if (!reply->status)
		return !reply->hopeless;
	if (reply->status / 100 == 2)
		return object_is_cut(call, reply) || object_is_error(reply, "InternalError") ||
		       object_is_error(reply, "SlowDown") || object_is_error(reply, "ServiceUnavailable");
	return reply->status == 408 || reply->status == 429 || reply->status == 500 ||
	       reply->status == 502 || reply->status == 503 || reply->status == 504 ||
	       object_is_error(reply, "RequestTimeout") || object_is_error(reply, "BadDigest");
}

static bool object_has_wrong_etag(const struct http_reply *reply, const unsigned char *md5)
{
	return md5 && reply->status == 200 && !reply->etag_is_opaque && strlen(reply->etag) == 2 * MD5_SIZE &&
	       strcasecmp(reply->etag, md5_to_hex(md5).text);
}

/* Twice as long each time, and somewhere between half of that and all of it, so that the parts that
 * fail together do not come again together
 */
static unsigned int object_delay_ms(unsigned int attempt, unsigned int *seed)
{
	const unsigned int delay = (unsigned int)FIRST_DELAY_MS << attempt;

	return delay / 2 + (unsigned int)rand_r(seed) % (delay / 2 + 1);
}

static int object_errno(const struct http_reply *reply)
{
	switch (reply->status) {
	case 401: case 403: return EACCES;
	case 404: return ENOENT;
	case 409: case 412: return EEXIST;
	default: return EIO;
	}
}

/* What the answer says is wrong, as a clause that follows "cannot ...: " */
static void object_reason(const struct object_call *call, const struct http_reply *reply, char *ret,
			  size_t size)
{
	char code[64], message[200];

	object_element(reply->body, "Code", code, sizeof(code));
	object_element(reply->body, "Message", message, sizeof(message));
	if (!reply->status)
		snprintf(ret, size, "%s", reply->why);
	else if (object_has_wrong_etag(reply, call->md5))
		snprintf(ret, size, "the server received other bytes than were sent, by its checksum");
	else if (object_is_cut(call, reply))
		snprintf(ret, size, "the server sent %zu of %zu bytes", reply->got, reply->range_len);
	else
		snprintf(ret, size, "the server answered with status %ld%s%s%s%s", reply->status,
			 *code ? " " : "", code, *message ? ": " : "", message);
}

struct gdump_error *object_error(const struct object *o, const struct object_call *call,
				 const struct http_reply *reply)
{
	char reason[400];
	struct gdump_error *err;

	if (o->settings.stop && o->settings.stop(o->settings.stop_arg))
		return error_new(GDUMP_ERR_CANCELED, "canceled");
	object_reason(call, reply, reason, sizeof(reason));
	err = error_new(GDUMP_ERR_OS, "%s%scannot %s: %s", o->is_named ? "" : o->where,
			o->is_named ? "" : ": ", call->what, reason);
	if (err != error_nomem())
		err->errnum = object_errno(reply);
	return err;
}

/* Fill @ret, of @max, with the headers of @call, up to a NULL. */
static void object_headers(const struct object *o, const struct object_call *call, const char **ret,
			   size_t max)
{
	size_t n = 0;

	if (object_is_s3(o->where))
		ret[n++] = "x-amz-content-sha256: UNSIGNED-PAYLOAD";
	if (!call->into)
		ret[n++] = "Content-Type: application/octet-stream";
	if (o->token_header && o->is_signed)
		ret[n++] = o->token_header;
	for (size_t i = 0; i < ARRAY_SIZE(call->headers) && call->headers[i] && n + 1 < max; i++)
		ret[n++] = call->headers[i];
	ret[n] = NULL;
}

struct gdump_error *object_send(const struct object *o, struct http *h,
				const struct object_call *call, struct http_reply *reply)
{
	const char *headers[8];
	CLEANUP_FREE char *url = object_format("%s%s%s", o->url, *call->query ? "?" : "", call->query);
	const struct http_request request = {
		.method = call->method, .url = url, .headers = headers, .body = call->body,
		.len = call->len, .body_fd = call->body_fd, .into = call->into, .into_len = call->into_len,
		.limit_s = call->limit_s, .follow = !object_is_s3(o->where) && call->into,
	};
	unsigned int seed = (unsigned int)(uintptr_t)h ^ (unsigned int)call->len;

	if (!url)
		return error_nomem();
	object_headers(o, call, headers, ARRAY_SIZE(headers));
	for (unsigned int attempt = 0;; attempt++) {
		unsigned int delay;

		http_send(h, &request, reply);
		if (!object_is_transient(call, reply) && !object_has_wrong_etag(reply, call->md5))
			return NULL;
		if (attempt + 1 >= call->tries)
			return object_error(o, call, reply);
		delay = object_delay_ms(attempt, &seed);
		debug_log(&o->debug, GDUMP_DEBUG_STEP, "%s: cannot %s (status %ld); trying again in %u ms",
			  o->where, call->what, reply->status, delay);
		if (http_wait(&o->settings, delay))
			return error_new(GDUMP_ERR_CANCELED, "canceled");
	}
}
