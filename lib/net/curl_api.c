/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#ifdef HAVE_CURL

#include "curl_api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "../util/bits.h"

/* CURLOPT_PROTOCOLS_STR, with which we refuse all but HTTP */
#define CURL_API_LEAST 0x075500
#define CURL_API_LEAST_TEXT "7.85"

static const char *curl_api_missing;    /* what could not be loaded; NULL: all is there */

#ifdef STATIC_PROGRAM

static struct curl_api curl_api = {
	curl_global_init, curl_version_info, curl_easy_init, curl_easy_cleanup, curl_easy_reset,
	curl_easy_setopt, curl_easy_getinfo, curl_easy_perform, curl_easy_strerror, curl_slist_append,
	curl_slist_free_all,
};

static void curl_api_link(void)
{
}

#else

static struct curl_api curl_api;

/* The names are those that all builds of libcurl have, with whichever TLS library. */
static const struct {
	const char *name;
	size_t offset;
} curl_calls[] = {
	{ "curl_global_init", offsetof(struct curl_api, global_init) },
	{ "curl_version_info", offsetof(struct curl_api, version_info) },
	{ "curl_easy_init", offsetof(struct curl_api, easy_init) },
	{ "curl_easy_cleanup", offsetof(struct curl_api, easy_cleanup) },
	{ "curl_easy_reset", offsetof(struct curl_api, easy_reset) },
	{ "curl_easy_setopt", offsetof(struct curl_api, easy_setopt) },
	{ "curl_easy_getinfo", offsetof(struct curl_api, easy_getinfo) },
	{ "curl_easy_perform", offsetof(struct curl_api, easy_perform) },
	{ "curl_easy_strerror", offsetof(struct curl_api, easy_strerror) },
	{ "curl_slist_append", offsetof(struct curl_api, slist_append) },
	{ "curl_slist_free_all", offsetof(struct curl_api, slist_free_all) },
};

static void curl_api_link(void)
{
	static const char *const names[] = { "libcurl.so.4", "libcurl-gnutls.so.4" };
	void *library = NULL;

	for (size_t i = 0; !library && i < ARRAY_SIZE(names); i++)
		library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!library)
		curl_api_missing = names[0];
	for (size_t i = 0; library && i < ARRAY_SIZE(curl_calls); i++) {
		void *call = dlsym(library, curl_calls[i].name);

		if (!call)
			curl_api_missing = curl_calls[i].name;
		memcpy((char *)&curl_api + curl_calls[i].offset, &call, sizeof(call));
	}
}

#endif

static void curl_api_init(void)
{
	curl_api_link();
	if (!curl_api_missing && curl_api.version_info(CURLVERSION_NOW)->version_num < CURL_API_LEAST)
		curl_api_missing = "libcurl " CURL_API_LEAST_TEXT " or later";
	if (!curl_api_missing && curl_api.global_init(CURL_GLOBAL_DEFAULT))
		curl_api_missing = "the TLS library of libcurl";
}

struct gdump_error *curl_api_load(const struct curl_api **ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, curl_api_init);
	if (curl_api_missing)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "%s cannot be loaded: install libcurl (Debian: libcurl4, Fedora: libcurl)",
				 curl_api_missing);
	*ret = &curl_api;
	return NULL;
}

#endif
