/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * curl_api.h - the functions of libcurl that we use
 *
 * libcurl is loaded when a request is to be sent: with the libraries that it needs, it would be half
 * of the time that the program takes to start.  A static program is linked with it.
 */
#pragma once

#include <curl/curl.h>

#include "../error.h"

/* Named as in libcurl, without "curl_" */
struct curl_api {
	CURLcode (*global_init)(long flags);
	curl_version_info_data *(*version_info)(CURLversion version);
	CURL *(*easy_init)(void);
	void (*easy_cleanup)(CURL *curl);
	void (*easy_reset)(CURL *curl);
	CURLcode (*easy_setopt)(CURL *curl, CURLoption option, ...);
	CURLcode (*easy_getinfo)(CURL *curl, CURLINFO info, ...);
	CURLcode (*easy_perform)(CURL *curl);
	const char *(*easy_strerror)(CURLcode code);
	struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
	void (*slist_free_all)(struct curl_slist *list);
};

/* Load and initialize libcurl, once; an error says what to install. */
MUST_CHECK struct gdump_error *curl_api_load(const struct curl_api **ret);
