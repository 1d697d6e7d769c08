/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * object.h - what a server has under a name: an object in S3, or what a URL leads to
 *
 * A name is "s3://BUCKET/KEY", whose requests are signed, or "https://..." or "http://...", whose
 * requests are not.  A URL may contain a secret, such as a signature, which no message shows.
 *
 * Requests that fail because of the network or an overloaded server are repeated, with a delay that
 * grows.  A struct object does not change once it is open, and many threads may use it; each thread
 * that sends requests has a struct http of its own.
 */
#pragma once

#include "../util/debug.h"
#include "../util/md5.h"
#include "http.h"

enum { OBJECT_TRIES = 6, OBJECT_FEW_TRIES = 3 };

struct object {
	struct http_settings settings;
	struct debug debug;
	char *where;                    /* its name without secrets, for messages */
	char *url;
	char *access_key, *secret_key, *ca_file, *proxy, *no_proxy, *signer;
	char *token_header;             /* NULL: there is no token              */
	bool is_signed;                 /* its requests are                     */
	bool is_named;                  /* the caller puts its name in front of errors */
};

/* Whether @where is the name of an object in S3 */
bool object_is_s3(const char *where);
/* Whether @where is the name of an object */
bool object_is_name(const char *where);
/* @where without secrets, to be freed; NULL: no memory */
char *object_label(const char *where);
/* The URL of @where; sets @ret, which is to be freed. */
MUST_CHECK struct gdump_error *object_locate(const char *where, const struct gdump_store_options *store,
					     const char *region, char **ret);
/* @text as a part of a URL, to be freed; @slashes: they stay.  NULL: no memory */
char *object_encode(const char *text, bool slashes);
/* A format like printf()'s, to be freed; NULL: no memory */
char *object_format(const char *fmt, ...) PRINTF(1, 2);

/* @store is copied; NULL: its defaults.  @stop is asked on the threads of requests, and ends them;
 * NULL: nothing does.
 */
MUST_CHECK struct gdump_error *object_open(const char *where, const struct gdump_store_options *store,
					   gdump_cancel_fn *stop, void *stop_arg,
					   const struct debug *debug, struct object **ret);
/* @o may be NULL. */
void object_close(struct object *o);
MUST_CHECK struct gdump_error *object_connect(const struct object *o, struct http **ret);

static inline void object_cleanup(struct object **o)
{
	object_close(*o);
}
#define CLEANUP_OBJECT __attribute__((__cleanup__(object_cleanup)))

/* --- requests --- */

struct object_call {
	const char *what;               /* "VERB OBJECT", after "cannot"        */
	const char *method, *query;     /* "": none                             */
	const char *headers[4];         /* besides those of all requests        */
	const void *body;
	size_t len;
	int body_fd;                    /* 0: none; else instead of ->body      */
	void *into;                     /* for the range that is asked for; NULL: none is */
	size_t into_len;
	unsigned int tries, limit_s;
	const unsigned char *md5;       /* the ETag must be this one; NULL: any */
};

/* Send the request until there is an answer that counts: an error only if that never comes */
MUST_CHECK struct gdump_error *object_send(const struct object *o, struct http *h,
					   const struct object_call *call, struct http_reply *reply);
/* The answer is a refusal: the error that says so */
struct gdump_error *object_error(const struct object *o, const struct object_call *call,
				 const struct http_reply *reply);
/* Whether the answer is an error with this code of S3 */
bool object_is_error(const struct http_reply *reply, const char *code);
/* The text of element @name, without control characters; "": there is none */
void object_element(const char *xml, const char *name, char *ret, size_t size);

/* --- writing --- */

/* Make the object of the first @len bytes of the file @fd, in one request.  @replace: it may exist. */
MUST_CHECK struct gdump_error *object_put(const struct object *o, struct http *h, int fd, uint64_t len,
					  bool replace);

/* --- reading --- */

/* Which object was opened: it must remain the same */
struct object_version {
	uint64_t size;
	char etag[80];                  /* "": the server sends none            */
	char date[40];                  /* of the last change; "": unknown      */
};

/* Read up to @len bytes from the beginning, @got of them, and learn what the object is.  *@found
 * false: there is none; with @found NULL, that is an error.
 */
MUST_CHECK struct gdump_error *object_read_first(const struct object *o, struct http *h, void *buf,
						 size_t len, size_t *got,
						 struct object_version *version, bool *found);
/* Read [off, off + len), which is inside of the object. */
MUST_CHECK struct gdump_error *object_read(const struct object *o, struct http *h,
					   const struct object_version *version, uint64_t off,
					   void *buf, size_t len);
