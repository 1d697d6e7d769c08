/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * dumpfile.h - small dump files for unit tests, made from bytes
 *
 * A test changes to a directory of its own with dumpfile_dir() and names its
 * files by short names; dumpfile_done() removes all of it.
 */
#pragma once

#include "check.h"
#include "seed.h"

#include <dirent.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static char dumpfile_path[] = "/tmp/gd-unit.XXXXXX";

static inline void dumpfile_dir(void)
{
	if (!mkdtemp(dumpfile_path) || chdir(dumpfile_path)) {
		perror(dumpfile_path);
		exit(1);
	}
}

static inline void dumpfile_done(void)
{
	DIR *dir = opendir(".");
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		unlink(e->d_name);
	if (dir)
		closedir(dir);
	rmdir(dumpfile_path);
}

/* Bytes that grow. */
struct blob {
	unsigned char *p;
	size_t len;
};

static inline void blob_put(struct blob *b, const void *p, size_t len)
{
	unsigned char *grown = realloc(b->p, b->len + len + 1);

	if (!grown)
		abort();
	b->p = grown;
	if (p && len)
		memcpy(b->p + b->len, p, len);
	else if (len)
		memset(b->p + b->len, 0, len);
	b->len += len;
}

/* A little-endian number of @n bytes */
static inline void blob_put_le(struct blob *b, uint64_t v, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		const unsigned char byte = (unsigned char)(v >> 8 * i);

		blob_put(b, &byte, 1);
	}
}

static inline uint64_t load_le(const unsigned char *p, unsigned int n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

static inline void blob_set_le(struct blob *b, size_t off, uint64_t v, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		b->p[off + i] = (unsigned char)(v >> 8 * i);
}

static inline void blob_free(struct blob *b)
{
	free(b->p);
	*b = (struct blob){ 0 };
}

static inline void blob_save(const struct blob *b, const char *name)
{
	FILE *f = fopen(name, "wb");

	seed_keep("dump", b->p, b->len);
	CHECK(f && fwrite(b->p, 1, b->len, f) == b->len);
	if (f)
		fclose(f);
}

static inline struct blob blob_load(const char *name)
{
	struct blob b = { 0 };
	unsigned char buf[4096];
	FILE *f = fopen(name, "rb");
	size_t n;

	CHECK(f);
	while (f && (n = fread(buf, 1, sizeof(buf), f)))
		blob_put(&b, buf, n);
	if (f)
		fclose(f);
	return b;
}

static inline bool same_file(const char *a, const char *b)
{
	struct blob x = blob_load(a), y = blob_load(b);
	const bool same = x.len == y.len && x.len && !memcmp(x.p, y.p, x.len);

	blob_free(&x);
	blob_free(&y);
	return same;
}

static inline struct gdump_error *open_dump(const char *name, struct gdump **ret)
{
	*ret = NULL;
	return gdump_open(name, NULL, ret);
}

/* Save the bytes and see what opening them says. */
static inline struct gdump_error *try_blob(const struct blob *b)
{
	struct gdump_error *err;
	struct gdump *g;

	blob_save(b, "try");
	err = open_dump("try", &g);
	gdump_close(g);
	return err;
}

/* Write dump @from to @to. */
static inline struct gdump_error *convert_dump(const char *from, const char *to,
					       struct gdump_write_options opt,
					       struct gdump_result *result)
{
	struct gdump_error *err;
	struct gdump *g;

	err = open_dump(from, &g);
	opt.size = sizeof(opt);
	opt.force = true;
	opt.result = result;
	if (result)
		*result = (struct gdump_result){ .size = sizeof(*result) };
	if (!err)
		err = gdump_write(g, NULL, to, &opt);
	gdump_close(g);
	return err;
}
