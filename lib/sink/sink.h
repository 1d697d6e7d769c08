/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * sink.h - where a dump goes
 *
 * Where ->seeks, write() may be called from many threads for places that do
 * not overlap, and what is never written reads as zero.  Else the calls come
 * one at a time; sink_stream wants ascending offsets (it fills gaps with
 * zeros), sink_flat takes any order.
 */
#pragma once

#include "../error.h"

struct sink;
struct sink_ops {
	struct gdump_error *(*write)(struct sink *s, uint64_t off, const void *buf, size_t len);
	/* All is written and the file is @size bytes long: make it visible. */
	struct gdump_error *(*finish)(struct sink *s, uint64_t size);
	/* Frees @s.  Without finish() a file goes away, or stays as
	 * PATH.incomplete where ->keep is set.
	 */
	void (*close)(struct sink *s);
};

struct sink {
	const struct sink_ops *ops;
	bool seeks;
	bool keep;                      /* cut short, but of use                */
	const char *partial_path;       /* the name it would stay under, or NULL */
};

/* A file that appears as @path when it is finished. */
MUST_CHECK struct gdump_error *sink_file_create(const char *path, bool force, struct sink **ret);
/* A descriptor that cannot seek; it is borrowed. */
MUST_CHECK struct gdump_error *sink_stream_create(int fd, struct sink **ret);
/* makedumpfile's flattened form around @inner, which it owns from now on, also
 * when this fails.
 */
MUST_CHECK struct gdump_error *sink_flat_create(struct sink *inner, struct sink **ret);
/* A nameless file in the folder @dir, which goes to @inner, in order, when it is finished.
 * Owns @inner from now on, also when this fails.
 */
MUST_CHECK struct gdump_error *sink_spool_create(struct sink *inner, const char *dir,
						 struct sink **ret);

/* A checksum behind the file: around @inner, which it owns from now on, also when this
 * fails.  Only what is written at offset 0 may be written again, at the same length or
 * before anything else.
 */
MUST_CHECK struct gdump_error *sink_checksum_create(struct sink *inner, struct sink **ret);

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
