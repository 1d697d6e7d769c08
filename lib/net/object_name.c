/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * object_name.c - names of objects, and the URLs that they lead to
 */
#include "object.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

bool object_is_s3(const char *where)
{
	return !strncmp(where, "s3://", 5);
}

bool object_is_name(const char *where)
{
	return object_is_s3(where) || !strncmp(where, "https://", 8) || !strncmp(where, "http://", 7);
}

char *object_format(const char *fmt, ...)
{
	va_list ap;
	char *ret;

	va_start(ap, fmt);
	if (vasprintf(&ret, fmt, ap) < 0)
		ret = NULL;
	va_end(ap);
	return ret;
}

char *object_encode(const char *text, bool slashes)
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

static bool object_name_is_host(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)text[i]) && !strchr("-_.", text[i]))
			return false;
	}
	return len > 0;
}

static struct gdump_error *object_name_check_endpoint(const char *endpoint)
{
	if ((strncmp(endpoint, "http://", 7) && strncmp(endpoint, "https://", 8)) ||
	    strpbrk(endpoint, "@?# "))
		return error_new(GDUMP_ERR_USAGE,
				 "the S3 endpoint is not a URL such as https://HOST or http://HOST:PORT");
	return NULL;
}

/* Amazon wants the bucket in the host's name; its certificate does not cover a name with dots. */
static char *object_name_url(const struct gdump_store_options *store, const char *region, const char *bucket,
		    size_t bucket_len, const char *key)
{
	const int len = (int)bucket_len;
	size_t end;

	if (!store->endpoint)
		return memchr(bucket, '.', bucket_len) ?
		       object_format("https://s3.%s.amazonaws.com/%.*s/%s", region, len, bucket, key) :
		       object_format("https://%.*s.s3.%s.amazonaws.com/%s", len, bucket, region, key);
	end = strlen(store->endpoint);
	while (end && store->endpoint[end - 1] == '/')
		end--;
	return object_format("%.*s/%.*s/%s", (int)end, store->endpoint, len, bucket, key);
}

/* A user and a password are before the host, signatures and the like in the query. */
char *object_label(const char *where)
{
	const char *host = strstr(where, "://"), *end;
	int host_len;

	if (object_is_s3(where) || !host)
		return strdup(where);
	host += strlen("://");
	host_len = (int)strcspn(host, "/?#");
	end = memrchr(host, '@', (size_t)host_len);
	end = end ? end + 1 : host;
	return object_format("%.*s%.*s", (int)(host - where), where, (int)strcspn(end, "?#"), end);
}

static struct gdump_error *object_name_locate_s3(const char *where,
						 const struct gdump_store_options *store,
						 const char *region, char **ret)
{
	const char *bucket = where + strlen("s3://"), *slash = strchr(bucket, '/');
	struct gdump_error *err = store->endpoint ? object_name_check_endpoint(store->endpoint) : NULL;
	CLEANUP_FREE char *key = NULL;

	if (err)
		return err;
	if (!slash || !slash[1] || !object_name_is_host(bucket, (size_t)(slash - bucket)))
		return error_new(GDUMP_ERR_USAGE, "%s: this is not the name of an object, s3://BUCKET/KEY",
				 where);
	if (!object_name_is_host(region, strlen(region)))
		return error_new(GDUMP_ERR_USAGE, "'%s' is not the name of a region", region);
	key = object_encode(slash + 1, true);
	*ret = key ? object_name_url(store, region, bucket, (size_t)(slash - bucket), key) : NULL;
	return *ret ? NULL : error_nomem();
}

struct gdump_error *object_locate(const char *where, const struct gdump_store_options *store,
				  const char *region, char **ret)
{
	if (object_is_s3(where))
		return object_name_locate_s3(where, store, region, ret);
	for (const char *p = where; *p; p++) {
		if (*p <= ' ' || *p == 0x7f)
			return error_new(GDUMP_ERR_USAGE, "the URL contains a space or a control character");
	}
	*ret = strndup(where, strcspn(where, "#"));
	return *ret ? NULL : error_nomem();
}
