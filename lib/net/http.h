/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * http.h - requests to a web server, by libcurl
 *
 * A struct http is a connection that is kept between requests; it is for one thread at a time.
 * Nothing is taken from the environment, and no message contains a key or a header.
 */
#pragma once

#include "../error.h"

struct http;

/* What its requests have in common.  Borrowed */
struct http_settings {
	const char *access_key, *secret_key;    /* to sign requests; NULL: they are not signed */
	const char *signer;             /* as CURLOPT_AWS_SIGV4                 */
	const char *ca_file;            /* certificates to trust; NULL: those of the system */
	const char *proxy, *no_proxy;   /* NULL: none                           */
	/* Asked about once a second, on the thread of the request.  True: end it. */
	gdump_cancel_fn *stop;
	void *stop_arg;
};

struct http_request {
	const char *method, *url;
	const char *const *headers;     /* "NAME: VALUE", up to NULL            */
	const void *body;
	size_t len;
	int body_fd;                    /* 0: none; else the body is the first ->len bytes of this
					 * file                                 */
	void *into;                     /* for the body of an answer with status 206; NULL: none
					 * is expected                          */
	size_t into_len;                /* of which no more is taken            */
	bool follow;                    /* go where the server sends us         */
	unsigned int limit_s;           /* for all of it; 0: it ends when nothing was sent
					 * or received for a minute             */
};

struct http_reply {
	long status;                    /* 0: none, and @why says why not       */
	bool hopeless;                  /* without status: trying again would not help */
	char why[256];
	char etag[80];                  /* without quotes; "": none             */
	bool etag_is_opaque;            /* as the server encrypts, the ETag is no MD5 */
	char date[40];                  /* of the last change; "": unknown      */
	uint64_t range_off, total;      /* of an answer with status 206: what it has, and how many
					 * bytes there are; 0: unknown          */
	size_t range_len;
	size_t got;                     /* bytes in ->into                      */
	size_t len;
	char body[4096];                /* the begin of it, without leading spaces; ends with 0 */
};

MUST_CHECK struct gdump_error *http_open(const struct http_settings *settings, struct http **ret);
/* @h may be NULL. */
void http_close(struct http *h);
/* Send a request, once. */
void http_send(struct http *h, const struct http_request *request, struct http_reply *reply);
/* Wait, unless the requests are to be stopped.  Returns whether they are. */
bool http_wait(const struct http_settings *settings, unsigned int ms);

static inline void http_cleanup(struct http **h)
{
	http_close(*h);
}
#define CLEANUP_HTTP __attribute__((__cleanup__(http_cleanup)))
