/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * sink.h - where a dump goes
 *
 * A sink is opened by its name (sink_open()) or created around another sink, takes the bytes
 * of one file, and ends in one of two ways: finish() makes all of it visible at once, and
 * close() without finish() discards it.
 *
 * Where ->seeks, write() may be called from many threads, in any order, for places that do
 * not overlap, and bytes that are never written read as zero.  Only the headers, at offset 0,
 * are written twice: at the beginning, and when all is known.
 *
 * If a sink does not seek, the calls come one at a time.  sink_stream needs ascending offsets (it
 * fills gaps with zeros); sink_flat takes any order, and so does sink_s3, where ->scatters, if each
 * byte but the headers is written exactly once.
 */
#pragma once

#include "../error.h"
#include "../util/debug.h"

struct sink;
struct sink_ops {
	struct gdump_error *(*write)(struct sink *s, uint64_t off, const void *buf, size_t len);
	/* All is written and the file is @size bytes long: make it visible. */
	struct gdump_error *(*finish)(struct sink *s, uint64_t size);
	/* Frees @s.  Without finish() the file is deleted, or kept under the name
	 * ->partial_path where ->keep is set.
	 */
	void (*close)(struct sink *s);
	/* From any thread, also while others are in write(): the output is not wanted any more,
	 * so do not wait for anything.  NULL: write() never waits for long.
	 */
	void (*interrupt)(struct sink *s);
	/* Remove what was written, before close(); an error says what remains.  NULL: close()
	 * does.
	 */
	struct gdump_error *(*discard)(struct sink *s);
};

struct sink {
	const struct sink_ops *ops;
	bool seeks;
	bool amends;                    /* it does not, but what comes again replaces the
					 * older, for most readers              */
	bool scatters;                  /* it does not seek, but takes any order  */
	bool ascending;                 /* set by the owner of one that ->scatters: the offsets
					 * ascend, and what they skip is zero   */
	bool checksums;                 /* a checksum follows what is written   */
	bool keep;                      /* close() without finish(): keep the
					 * partial file instead of deleting it  */
	const char *partial_path;       /* of that file; NULL: there is none    */
};

struct sink_options {
	bool force;                     /* replace a file or object that exists */
	const struct gdump_store_options *store;        /* of object stores; NULL: the defaults */
	const char *spool_dir;          /* for a temporary file; NULL: nowhere  */
	uint64_t max_size;              /* no file is larger                    */
	gdump_cancel_fn *cancel;        /* asked in finish(), on its thread; NULL: never */
	void *cancel_arg;
	struct debug debug;
};

/* Open the output called @where: a file, a device, a pipe, a descriptor of ours ("-",
 * "/dev/stdout", "/dev/fd/N"), or an object, "s3://BUCKET/KEY" or a URL.
 */
MUST_CHECK struct gdump_error *sink_open(const char *where, const struct sink_options *opt,
					 struct sink **ret);
/* The error that sink_open() would return, as far as it can be known without leaving a trace:
 * nothing is replaced, and no device is opened
 */
MUST_CHECK struct gdump_error *sink_check(const char *where, const struct sink_options *opt);
/* Whether @where names a descriptor of this process. */
bool sink_is_descriptor(const char *where);
/* Whether sink_open() creates a file. */
bool sink_is_file(const char *where);
/* Whether @where names an object in S3. */
bool sink_is_object(const char *where);
/* Whether @where is a URL to which a dump is uploaded. */
bool sink_is_url(const char *where);

/* A file that appears as @path when it is finished. */
MUST_CHECK struct gdump_error *sink_file_create(const char *path, bool force, struct sink **ret);
/* The error that sink_file_create() would return; no file remains or is removed. */
MUST_CHECK struct gdump_error *sink_file_try(const char *path, bool force);
/* A descriptor; it is borrowed. */
MUST_CHECK struct gdump_error *sink_stream_create(int fd, struct sink **ret);
/* The pipe or device @path; does not wait for a reader of the pipe. */
MUST_CHECK struct gdump_error *sink_device_create(const char *path, struct sink **ret);
/* makedumpfile's flattened form around @inner, which it owns from now on, also if this fails. */
MUST_CHECK struct gdump_error *sink_flat_create(struct sink *inner, struct sink **ret);
/* A file without a name in the directory @dir, which finish() copies to @inner, in order.  Owns
 * @inner from now on, also if this fails.
 */
MUST_CHECK struct gdump_error *sink_spool_create(struct sink *inner, const char *dir,
						 struct sink **ret);

/* The object @where in S3, which is uploaded while it is written, and appears when it is finished;
 * see sink_s3.c.  No request is sent before this returns.
 */
MUST_CHECK struct gdump_error *sink_s3_create(const char *where, const struct sink_options *opt,
					      struct sink **ret);
/* Whether the object could be created, by asking the server. */
MUST_CHECK struct gdump_error *sink_s3_try(const char *where, const struct sink_options *opt);

/* What the URL @where leads to, which is uploaded when it is finished; see sink_put.c. */
MUST_CHECK struct gdump_error *sink_put_create(const char *where, const struct sink_options *opt,
					       struct sink **ret);
/* Whether the URL is valid; no request is sent. */
MUST_CHECK struct gdump_error *sink_put_try(const char *where, const struct sink_options *opt);

/* A checksum at the end of the file of about @size bytes that is written to @inner, which it owns from now on, also
 * if this fails.  Only the bytes at offset 0 may be written again: with the same length, or
 * before anything else.
 */
MUST_CHECK struct gdump_error *sink_checksum_create(struct sink *inner, uint64_t size,
					    struct sink **ret);

static inline struct gdump_error *sink_write(struct sink *s, uint64_t off,
					     const void *buf, size_t len)
{
	return len ? s->ops->write(s, off, buf, len) : NULL;
}

static inline void sink_close(struct sink *s)
{
	if (s)
		s->ops->close(s);
}

static inline void sink_cleanup(struct sink **s)
{
	sink_close(*s);
}
#define CLEANUP_SINK __attribute__((__cleanup__(sink_cleanup)))
