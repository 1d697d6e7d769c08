/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * unwrap_archive.c - files of xz, bzip2 and lz4, by libarchive
 *
 * libarchive is loaded when such a file comes: nothing here needs it at build time or depends on
 * its package.  It compares the checksums of these three formats.
 *
 * Facts: libarchive's archive.h.  All of these functions are there since libarchive 3.2.
 */
#include "wrapped.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"

enum { ARCHIVE_EOF = 1, ARCHIVE_OK = 0 };

struct archive_in {
	struct bytes *in;
	uint64_t pos;
	struct gdump_error *err;        /* of reading the file                  */
	unsigned char buf[65536];
};

typedef ssize_t archive_read_fn(void *archive, void *arg, const void **ret);

static struct archive_api {
	void *(*new)(void);
	int (*free)(void *a);
	int (*filter_xz)(void *a);
	int (*filter_bzip2)(void *a);
	int (*filter_lz4)(void *a);
	int (*format_raw)(void *a);
	int (*open)(void *a, void *arg, void *open, archive_read_fn *read, void *close);
	int (*next)(void *a, void **entry);
	ssize_t (*read)(void *a, void *buf, size_t len);
	const char *(*message)(void *a);
} archive_api;

static const struct {
	const char *name;
	size_t offset;
} archive_calls[] = {
	{ "archive_read_new", offsetof(struct archive_api, new) },
	{ "archive_read_free", offsetof(struct archive_api, free) },
	{ "archive_read_support_filter_xz", offsetof(struct archive_api, filter_xz) },
	{ "archive_read_support_filter_bzip2", offsetof(struct archive_api, filter_bzip2) },
	{ "archive_read_support_filter_lz4", offsetof(struct archive_api, filter_lz4) },
	{ "archive_read_support_format_raw", offsetof(struct archive_api, format_raw) },
	{ "archive_read_open", offsetof(struct archive_api, open) },
	{ "archive_read_next_header", offsetof(struct archive_api, next) },
	{ "archive_read_data", offsetof(struct archive_api, read) },
	{ "archive_error_string", offsetof(struct archive_api, message) },
};

static bool archive_is_loaded;

static void archive_load(void)
{
#ifndef STATIC_PROGRAM
	/* stays loaded */
	void *library = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; library && i < ARRAY_SIZE(archive_calls); i++) {
		void *call = dlsym(library, archive_calls[i].name);

		if (!call)
			return;
		memcpy((char *)&archive_api + archive_calls[i].offset, &call, sizeof(call));
	}
	archive_is_loaded = library;
#else
	(void)archive_calls;
#endif
}

static ssize_t archive_read_in(void *archive, void *arg, const void **ret)
{
	struct archive_in *a = arg;
	const size_t len = (size_t)MIN(a->in->size - a->pos, sizeof(a->buf));

	(void)archive;
	a->err = bytes_read(a->in, a->pos, a->buf, len);
	if (a->err)
		return -1;
	*ret = a->buf;
	a->pos += len;
	return (ssize_t)len;
}

/* A filter that would start another program is not for us: then this returns a warning. */
static bool archive_set_up(void *a)
{
	return archive_api.filter_xz(a) == ARCHIVE_OK && archive_api.filter_bzip2(a) == ARCHIVE_OK &&
	       archive_api.filter_lz4(a) == ARCHIVE_OK && archive_api.format_raw(a) == ARCHIVE_OK;
}

static struct gdump_error *archive_damaged(void *a)
{
	const char *message = archive_api.message(a);

	return error_new(GDUMP_ERR_CORRUPT, "it is damaged, or ends early: %s",
			 message ? message : "invalid data");
}

static struct gdump_error *archive_run(void *a, struct unwrap_out *out, unsigned char *buf)
{
	struct gdump_error *err = NULL;
	void *entry;
	ssize_t len = 0;
	int rc = archive_api.next(a, &entry);

	if (rc == ARCHIVE_EOF)
		return NULL;
	if (rc != ARCHIVE_OK)
		return archive_damaged(a);
	while (!err && (len = archive_api.read(a, buf, UNWRAP_CHUNK)) > 0)
		err = unwrap_put(out, buf, (size_t)len);
	return !err && len < 0 ? archive_damaged(a) : err;
}

struct gdump_error *unwrap_archive(struct bytes *in, struct unwrap_out *out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct archive_in from = { .in = in };
	struct gdump_error *err = NULL;
	unsigned char *buf;
	void *a;

	pthread_once(&once, archive_load);
	if (!archive_is_loaded)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "libarchive.so.13 cannot be loaded: install libarchive (Debian: libarchive13), or decompress the file first");
	buf = malloc(UNWRAP_CHUNK);
	a = buf ? archive_api.new() : NULL;
	if (!a || !archive_set_up(a))
		err = a ? error_new(GDUMP_ERR_UNSUPPORTED, "libarchive was built without xz, bzip2 or lz4")
			: error_nomem();
	else if (archive_api.open(a, &from, NULL, archive_read_in, NULL) != ARCHIVE_OK)
		err = archive_damaged(a);
	else
		err = archive_run(a, out, buf);
	if (from.err) {
		gdump_error_destroy(err);
		err = from.err;
	}
	if (a)
		archive_api.free(a);
	free(buf);
	return err;
}
