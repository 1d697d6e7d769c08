/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * bytes.h - random access to the bytes of a dump file
 *
 * Everything here may be called from many threads at once.
 */
#pragma once

#include <sys/uio.h>

#include "../error.h"

struct bytes;
struct bytes_ops {
	/* Copy [off, off + len), which is inside [0, size). */
	struct gdump_error *(*read)(struct bytes *b, uint64_t off, void *buf, size_t len);
	/* The same into several buffers with one system call; NULL: that would save
	 * nothing.
	 */
	struct gdump_error *(*readv)(struct bytes *b, uint64_t off, const struct iovec *iov,
				     int num);
	/* How many bytes from @off on, at most @len, are known to be zero
	 * without reading; NULL: none.
	 */
	uint64_t (*hole)(struct bytes *b, uint64_t off, uint64_t len);
	/* Whether all of [off, off + len) was written, and once; NULL: it was.  What was not
	 * reads as zero, and of what was written twice, readers use one or the other.
	 */
	bool (*written)(struct bytes *b, uint64_t off, uint64_t len);
	void (*close)(struct bytes *b);
};

struct bytes {
	const struct bytes_ops *ops;
	uint64_t size;
	const unsigned char *map;       /* all bytes in memory, or NULL         */
	const char *kind;               /* "" or "flattened "                   */
	bool truncated;                 /* a flattened file without its end mark */
	char wrapping[48];              /* what the file was in, as a clause: ", compressed with gzip"; "" */
};

/* How to copy input that cannot seek */
struct bytes_spool {
	const char *dir;                /* for a temporary copy; NULL: refuse such input */
	gdump_progress_fn *progress;    /* bytes so far; of 0, as the total is unknown */
	void *progress_arg;
};

/* @path "-" is standard input.  @spool may be NULL. */
MUST_CHECK struct gdump_error *bytes_file_open(const char *path, const struct bytes_spool *spool,
					       struct bytes **ret);
/* Copy all that can be read from @fd to a file without a name; @ret: its descriptor. */
MUST_CHECK struct gdump_error *bytes_spool_create(int fd, const struct bytes_spool *spool,
						  int *ret);
/* An object at a server, which is read in ranges, with a cache of BYTES_OBJECT_CACHE bytes; see
 * bytes_object.c.  *@found false: there is none; with @found NULL, that is an error.
 */
#define BYTES_OBJECT_CACHE (UINT64_C(32) << 20)
MUST_CHECK struct gdump_error *bytes_object_open(const char *where,
						 const struct gdump_open_options *opt, bool *found,
						 struct bytes **ret);
/* Write the blocks of [@off, @off + @len) that are not zero, and leave holes elsewhere.  Returns 0 or
 * an errno.
 */
int bytes_spool_store(int fd, const unsigned char *buf, size_t len, uint64_t off);
/* The file @fd, which can seek; owns @fd, also when it fails. */
MUST_CHECK struct gdump_error *bytes_fd_open(int fd, struct bytes **ret);
/* If @in is a file that was compressed as a whole, the contents, which were copied to a file without
 * a name, and *@name what it was compressed with; @in is closed then.  Else @in itself.  On error @in
 * is still the caller's.
 */
MUST_CHECK struct gdump_error *bytes_unwrap(struct bytes *in, const struct bytes_spool *spool,
					    const char **name, struct bytes **ret);
/* Whether bytes_unwrap() would copy the file @fd */
bool bytes_is_wrapped(int fd);
/* Whether @in is a tar archive */
bool bytes_is_tar(struct bytes *in);
/* Whether the file with these first bytes is a dump */
typedef bool bytes_is_dump_fn(const unsigned char *head, size_t len);
/* The only dump in the tar archive @in, which the view owns.  On error @in is still the caller's.
 * GDUMP_ERR_FORMAT: there is none, or more than one.
 */
MUST_CHECK struct gdump_error *bytes_tar_open(struct bytes *in, bytes_is_dump_fn *is_dump,
					      struct bytes **ret);
/* @buf is borrowed. */
MUST_CHECK struct gdump_error *bytes_memory_open(const void *buf, size_t len, struct bytes **ret);
/* If @inner is a flattened file, a plain view of it, which owns @inner; else
 * @inner itself.  On error @inner is still the caller's.
 */
MUST_CHECK struct gdump_error *bytes_flat_open(struct bytes *inner, struct bytes **ret);

/* Like ops->read(), but GDUMP_ERR_CORRUPT for bytes past the end. */
MUST_CHECK struct gdump_error *bytes_read(struct bytes *b, uint64_t off, void *buf, size_t len);
MUST_CHECK struct gdump_error *bytes_readv(struct bytes *b, uint64_t off, const struct iovec *iov,
					   int num);

/* Like ops->read, but bytes of a flattened file that no record has, or two, are an error too: in
 * the data of pages a record was lost or damaged.
 */
MUST_CHECK struct gdump_error *bytes_read_data(struct bytes *b, uint64_t off, void *buf, size_t len);

static inline uint64_t bytes_hole(struct bytes *b, uint64_t off, uint64_t len)
{
	return b->ops->hole ? b->ops->hole(b, off, len) : 0;
}

static inline bool bytes_written(struct bytes *b, uint64_t off, uint64_t len)
{
	return !b->ops->written || b->ops->written(b, off, len);
}

static inline void bytes_close(struct bytes *b)
{
	if (b)
		b->ops->close(b);
}

static inline void bytes_cleanup(struct bytes **b)
{
	bytes_close(*b);
}
#define CLEANUP_BYTES __attribute__((__cleanup__(bytes_cleanup)))
