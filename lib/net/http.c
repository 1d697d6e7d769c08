/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * http.c - libcurl, with all that it would take from the environment set
 *
 * Bodies are passed as CURLOPT_POSTFIELDS, also for PUT: libcurl sends them without a copy, and
 * can send them again.  libcurl 7.88 signs each header of ours, also one that it is asked to omit,
 * so we set a Content-Type instead of omitting libcurl's.
 */
#include "http.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

bool http_wait(const struct http_settings *settings, unsigned int ms)
{
	enum { STEP_MS = 100 };

	for (unsigned int waited = 0; waited < ms; waited += STEP_MS) {
		if (settings->stop && settings->stop(settings->stop_arg))
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = STEP_MS * 1000000L }, NULL);
	}
	return settings->stop && settings->stop(settings->stop_arg);
}

#ifdef HAVE_CURL

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/io.h"
#include "curl_api.h"

enum { CONNECT_S = 15, STALLED_S = 60, MAX_REDIRECTS = 5 };

struct http {
	const struct curl_api *api;
	const struct http_settings *settings;
	CURL *curl;
	char why[CURL_ERROR_SIZE];
};

struct gdump_error *http_open(const struct http_settings *settings, struct http **ret)
{
	const struct curl_api *api;
	struct gdump_error *err = curl_api_load(&api);
	struct http *h = err ? NULL : calloc(1, sizeof(*h));

	if (err)
		return err;
	if (!h || !(h->curl = api->easy_init())) {
		free(h);
		return error_nomem();
	}
	h->api = api;
	h->settings = settings;
	*ret = h;
	return NULL;
}

void http_close(struct http *h)
{
	if (!h)
		return;
	h->api->easy_cleanup(h->curl);
	free(h);
}

static int http_ask_stop(void *arg, curl_off_t down, curl_off_t downloaded, curl_off_t up,
			 curl_off_t uploaded)
{
	const struct http_settings *settings = arg;

	(void)down, (void)downloaded, (void)up, (void)uploaded;
	return settings->stop && settings->stop(settings->stop_arg);
}

/* A request and its answer, as it comes */
struct http_exchange {
	const struct http *http;
	uint64_t sent;                  /* bytes of request->body_fd            */
	const struct http_request *request;
	struct http_reply *reply;
};

/* The begin of an answer that is not what was asked for; no more of it is of use: an object may be
 * large, and a server malicious
 */
static size_t http_take_text(struct http_reply *reply, const char *buf, size_t len)
{
	const size_t all = len;

	while (!reply->len && len && isspace((unsigned char)*buf))
		buf++, len--;
	len = MIN(len, sizeof(reply->body) - 1 - reply->len);
	memcpy(reply->body + reply->len, buf, len);
	reply->len += len;
	return reply->len < sizeof(reply->body) - 1 ? all : 0;
}

static size_t http_give_body(char *buf, size_t size, size_t n, void *arg)
{
	struct http_exchange *x = arg;
	const size_t len = (size_t)MIN((uint64_t)size * n, x->request->len - x->sent);
	size_t got;

	if (io_pread(x->request->body_fd, buf, len, x->sent, &got) || got < len)
		return CURL_READFUNC_ABORT;
	x->sent += len;
	return len;
}

/* It is sent again, from the beginning. */
static int http_rewind_body(void *arg, curl_off_t off, int origin)
{
	struct http_exchange *x = arg;

	if (origin != SEEK_SET || off < 0 || (uint64_t)off > x->request->len)
		return CURL_SEEKFUNC_FAIL;
	x->sent = (uint64_t)off;
	return CURL_SEEKFUNC_OK;
}

static size_t http_take_body(char *buf, size_t size, size_t n, void *arg)
{
	const struct http_exchange *x = arg;
	struct http_reply *reply = x->reply;
	const size_t len = size * n;
	long status = 0;

	x->http->api->easy_getinfo(x->http->curl, CURLINFO_RESPONSE_CODE, &status);
	if (!x->request->into || status != 206)
		return http_take_text(reply, buf, len);
	if (len > x->request->into_len - reply->got)
		return 0;
	memcpy((char *)x->request->into + reply->got, buf, len);
	reply->got += len;
	return len;
}

/* The value of the header @name in a line of @len bytes, which ends with CRLF; NULL: it is another */
static const char *http_header_value(const char *line, size_t len, const char *name, size_t *ret)
{
	const size_t name_len = strlen(name);
	const char *value = line + name_len + 1, *end = line + len;

	if (len <= name_len || strncasecmp(line, name, name_len) || line[name_len] != ':')
		return NULL;
	while (value < end && isspace((unsigned char)*value))
		value++;
	while (value < end && isspace((unsigned char)end[-1]))
		end--;
	*ret = (size_t)(end - value);
	return value;
}

/* "bytes FIRST-LAST/SIZE"; @value need not end with 0. */
static void http_take_range(const char *value, size_t len, struct http_reply *reply)
{
	unsigned long long first, last, total;
	char text[80], end;

	snprintf(text, sizeof(text), "%.*s", (int)MIN(len, sizeof(text) - 1), value);
	if (sscanf(text, "bytes %llu-%llu/%llu%c", &first, &last, &total, &end) != 3 || last < first ||
	    last >= total || last - first >= SIZE_MAX)
		return;
	reply->range_off = first;
	reply->range_len = (size_t)(last - first + 1);
	reply->total = total;
}

static void http_take_etag(const char *value, size_t len, struct http_reply *reply)
{
	if (len > 2 && len - 2 < sizeof(reply->etag) && *value == '"') {
		memcpy(reply->etag, value + 1, len - 2);
		reply->etag[len - 2] = 0;
	}
}

static size_t http_take_header(char *line, size_t size, size_t n, void *arg)
{
	struct http_reply *reply = ((const struct http_exchange *)arg)->reply;
	size_t len;
	const char *value;

	/* an answer that leads elsewhere says nothing about what is there */
	if (size * n > 5 && !memcmp(line, "HTTP/", 5))
		*reply = (struct http_reply){ 0 };
	value = http_header_value(line, size * n, "etag", &len);
	if (value)
		http_take_etag(value, len, reply);
	value = http_header_value(line, size * n, "content-range", &len);
	if (value)
		http_take_range(value, len, reply);
	value = http_header_value(line, size * n, "last-modified", &len);
	if (value)
		snprintf(reply->date, sizeof(reply->date), "%.*s", (int)MIN(len, sizeof(reply->date) - 1),
			 value);
	value = http_header_value(line, size * n, "x-amz-server-side-encryption", &len);
	reply->etag_is_opaque |= value && len >= 7 && !memcmp(value, "aws:kms", 7);
	reply->etag_is_opaque |= http_header_value(
		line, size * n, "x-amz-server-side-encryption-customer-algorithm", &len) != NULL;
	return size * n;
}

static void http_set_common(struct http *h)
{
	const struct http_settings *set = h->settings;
	const struct curl_api *api = h->api;
	CURL *c = h->curl;

	/* keeps the connection */
	api->easy_reset(c);
	api->easy_setopt(c, CURLOPT_ERRORBUFFER, h->why);
	api->easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	api->easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	api->easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	api->easy_setopt(c, CURLOPT_USERAGENT, "guestdump/" GUESTDUMP_VERSION);
	api->easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	api->easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	api->easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	api->easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALLED_S);
	api->easy_setopt(c, CURLOPT_PROXY, set->proxy ? set->proxy : "");
	api->easy_setopt(c, CURLOPT_NOPROXY, set->no_proxy ? set->no_proxy : "");
	if (set->ca_file)
		api->easy_setopt(c, CURLOPT_CAINFO, set->ca_file);
	if (set->access_key) {
		api->easy_setopt(c, CURLOPT_AWS_SIGV4, set->signer);
		api->easy_setopt(c, CURLOPT_USERNAME, set->access_key);
		api->easy_setopt(c, CURLOPT_PASSWORD, set->secret_key);
	}
	api->easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	api->easy_setopt(c, CURLOPT_XFERINFOFUNCTION, http_ask_stop);
	api->easy_setopt(c, CURLOPT_XFERINFODATA, (void *)set);
}

static void http_set_request(struct http *h, struct http_exchange *x)
{
	const struct http_request *request = x->request;
	const struct curl_api *api = h->api;
	CURL *c = h->curl;

	api->easy_setopt(c, CURLOPT_URL, request->url);
	if (request->body_fd) {
		api->easy_setopt(c, CURLOPT_UPLOAD, 1L);
		api->easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->len);
		api->easy_setopt(c, CURLOPT_READFUNCTION, http_give_body);
		api->easy_setopt(c, CURLOPT_READDATA, x);
		api->easy_setopt(c, CURLOPT_SEEKFUNCTION, http_rewind_body);
		api->easy_setopt(c, CURLOPT_SEEKDATA, x);
	} else if (strcmp(request->method, "GET")) {
		api->easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->len);
		api->easy_setopt(c, CURLOPT_POSTFIELDS, request->body ? request->body : "");
	}
	api->easy_setopt(c, CURLOPT_CUSTOMREQUEST, request->method);
	api->easy_setopt(c, CURLOPT_TIMEOUT, (long)request->limit_s);
	api->easy_setopt(c, CURLOPT_WRITEFUNCTION, http_take_body);
	api->easy_setopt(c, CURLOPT_WRITEDATA, x);
	api->easy_setopt(c, CURLOPT_HEADERFUNCTION, http_take_header);
	api->easy_setopt(c, CURLOPT_HEADERDATA, x);
	api->easy_setopt(c, CURLOPT_FOLLOWLOCATION, (long)request->follow);
	api->easy_setopt(c, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
	/* not back to a connection that others can read */
	api->easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR,
			 strncmp(request->url, "https:", 6) ? "http,https" : "https");
}

static struct curl_slist *http_headers(const struct curl_api *api, const char *const *headers)
{
	struct curl_slist *list = NULL;

	for (; *headers; headers++) {
		struct curl_slist *longer = api->slist_append(list, *headers);

		if (!longer) {
			api->slist_free_all(list);
			return NULL;
		}
		list = longer;
	}
	return list;
}

/* Whether another attempt would end like this one */
static bool http_is_hopeless(CURLcode rc)
{
	return rc == CURLE_UNSUPPORTED_PROTOCOL || rc == CURLE_URL_MALFORMAT || rc == CURLE_NOT_BUILT_IN ||
	       rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CACERT_BADFILE ||
	       rc == CURLE_BAD_FUNCTION_ARGUMENT || rc == CURLE_ABORTED_BY_CALLBACK;
}

void http_send(struct http *h, const struct http_request *request, struct http_reply *reply)
{
	struct curl_slist *headers = http_headers(h->api, request->headers);
	struct http_exchange x = { .http = h, .request = request, .reply = reply };
	CURLcode rc = CURLE_OUT_OF_MEMORY;

	*reply = (struct http_reply){ 0 };
	h->why[0] = 0;
	http_set_common(h);
	http_set_request(h, &x);
	if (headers) {
		h->api->easy_setopt(h->curl, CURLOPT_HTTPHEADER, headers);
		rc = h->api->easy_perform(h->curl);
	}
	h->api->slist_free_all(headers);
	reply->body[reply->len] = 0;
	if (!rc || rc == CURLE_WRITE_ERROR)
		h->api->easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &reply->status);
	reply->hopeless = http_is_hopeless(rc);
	snprintf(reply->why, sizeof(reply->why), "%s", h->why[0] ? h->why : h->api->easy_strerror(rc));
}

#else

struct gdump_error *http_open(const struct http_settings *settings, struct http **ret)
{
	(void)settings, (void)ret;
	return error_new(GDUMP_ERR_UNSUPPORTED, "guestdump was built without libcurl (meson -Dcurl=enabled)");
}

void http_close(struct http *h)
{
	(void)h;
}

void http_send(struct http *h, const struct http_request *request, struct http_reply *reply)
{
	(void)h, (void)request;
	*reply = (struct http_reply){ .hopeless = true };
}

#endif
