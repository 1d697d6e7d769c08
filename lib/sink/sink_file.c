/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * sink_file.c - a file that appears when it is complete
 *
 * It is written as PATH.incomplete in the same directory, under a lock, and renamed
 * at the end.  So a file called PATH is always complete, and after a kill -9 the name
 * of the remaining file shows that it is not.  Nothing is opened through a symbolic
 * link, and only files and links to files are replaced.
 *
 * A separate thread, the flusher, keeps asking the kernel to begin writing to disk,
 * which it would otherwise delay until fsync().  That call waits for a busy disk, and
 * the threads that read a paused guest must not wait.
 */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../util/cleanup.h"
#include "../util/io.h"

enum { FLUSH_BYTES = 8 << 20 };

struct sink_file {
	struct sink sink;
	int dir, fd;
	char *path, *temp_path;         /* as the user wrote them               */
	const char *base, *temp;        /* their last components                */
	bool force, done;
	bool is_trial;                  /* nothing is written, and nothing replaced */

	pthread_t flusher;
	bool flushes;                   /* the thread runs                      */
	pthread_mutex_t lock;           /* guards the rest                      */
	pthread_cond_t change;
	uint64_t written, flushed;      /* numbers of bytes                     */
	bool stop;
};

static void *flusher_run(void *arg)
{
	struct sink_file *f = arg;

	pthread_mutex_lock(&f->lock);
	while (!f->stop) {
		if (f->written - f->flushed < FLUSH_BYTES) {
			pthread_cond_wait(&f->change, &f->lock);
			continue;
		}
		f->flushed = f->written;
		pthread_mutex_unlock(&f->lock);
		/* errors of the disk are reported by fsync() */
		sync_file_range(f->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
		pthread_mutex_lock(&f->lock);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

static void flusher_start(struct sink_file *f)
{
	f->flushes = !pthread_create(&f->flusher, NULL, flusher_run, f);
}

static void flusher_stop(struct sink_file *f)
{
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_cond_signal(&f->change);
	pthread_mutex_unlock(&f->lock);
	if (f->flushes)
		pthread_join(f->flusher, NULL);
	f->flushes = false;
}

/* @len more bytes are written: wake the thread when there are enough. */
static void flusher_count(struct sink_file *f, size_t len)
{
	pthread_mutex_lock(&f->lock);
	f->written += len;
	if (f->written - f->flushed >= FLUSH_BYTES)
		pthread_cond_signal(&f->change);
	pthread_mutex_unlock(&f->lock);
}

static struct gdump_error *sink_file_write(struct sink *s, uint64_t off, const void *buf,
					   size_t len)
{
	struct sink_file *f = (struct sink_file *)s;
	int rc = io_pwrite(f->fd, buf, len, off);

	flusher_count(f, len);
	return rc ? error_os(rc, "%s: cannot write %zu bytes at offset %" PRIu64, f->temp_path,
			     len, off) : NULL;
}

/* Rename the finished file; an existing one stays unless it may be replaced. */
static int sink_file_publish(struct sink_file *f)
{
	if (f->force)
		return renameat(f->dir, f->temp, f->dir, f->base) ? errno : 0;
	if (!renameat2(f->dir, f->temp, f->dir, f->base, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return errno;
	/* a file system without RENAME_NOREPLACE */
	if (linkat(f->dir, f->temp, f->dir, f->base, 0))
		return errno;
	unlinkat(f->dir, f->temp, 0);
	return 0;
}

static struct gdump_error *sink_file_finish(struct sink *s, uint64_t size)
{
	struct sink_file *f = (struct sink_file *)s;
	int rc;

	flusher_stop(f);
	/* a signal must not make a complete file fail */
	if (TEMP_FAILURE_RETRY(ftruncate(f->fd, (off_t)size)))
		return error_os(errno, "%s: cannot set its size to %" PRIu64, f->temp_path, size);
	if (TEMP_FAILURE_RETRY(fsync(f->fd)))
		return error_os(errno, "%s: cannot write to disk", f->temp_path);
	rc = sink_file_publish(f);
	if (rc)
		return error_os(rc, "%s: cannot rename to %s", f->temp_path, f->path);
	f->done = true;
	fsync(f->dir);
	return NULL;
}

static void sink_file_close(struct sink *s)
{
	struct sink_file *f = (struct sink_file *)s;

	flusher_stop(f);
	if (f->fd >= 0 && !f->done && !s->keep)
		unlinkat(f->dir, f->temp, 0);
	if (f->fd >= 0)
		close(f->fd);
	if (f->dir >= 0)
		close(f->dir);
	pthread_cond_destroy(&f->change);
	pthread_mutex_destroy(&f->lock);
	free(f->path);
	free(f->temp_path);
	free(f);
}

static const struct sink_ops sink_file_ops = {
	.write = sink_file_write,
	.finish = sink_file_finish,
	.close = sink_file_close,
};

/* The directory of @path, opened. */
static int sink_file_open_dir(const char *path, const char *base)
{
	CLEANUP_FREE char *dir = strndup(path, (size_t)(base - path));

	if (!dir)
		return -1;
	return io_openat(AT_FDCWD, *dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The name is in use: EEXIST, with a message that helps. */
static struct gdump_error *sink_file_taken(const char *path, const char *why)
{
	struct gdump_error *err = error_new(GDUMP_ERR_OS, "%s: %s", path, why);

	if (err != error_nomem())
		err->errnum = EEXIST;
	return err;
}

/* Whether ->base does not exist, or is a file or a link to one.  Not a link to /proc: it stands
 * for a descriptor of a process, so its file belongs to that process.
 */
static bool sink_file_is_replaceable(const struct sink_file *f)
{
	char to[6] = "";
	struct stat st;

	if (readlinkat(f->dir, f->base, to, sizeof(to)) == sizeof(to) &&
	    !memcmp(to, "/proc/", sizeof(to)))
		return false;
	return fstatat(f->dir, f->base, &st, 0) ? errno == ENOENT : S_ISREG(st.st_mode);
}

static struct gdump_error *sink_file_check(const struct sink_file *f)
{
	struct stat st;

	if (fstatat(f->dir, f->base, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? NULL : error_os(errno,
							 "%s: cannot read its status", f->path);
	if (S_ISDIR(st.st_mode))
		return error_new(GDUMP_ERR_USAGE, "%s: this is a directory; name a file in it",
				 f->path);
	if (!sink_file_is_replaceable(f))
		return error_new(GDUMP_ERR_USAGE,
				 "%s: this is neither a file nor a link to one; choose another name",
				 f->path);
	if (!f->force)
		return sink_file_taken(f->path,
				       "this file already exists; choose another name or replace it");
	return NULL;
}

/* There is a PATH.incomplete: remove it, if we may. */
static struct gdump_error *sink_file_remove_old(struct sink_file *f)
{
	CLEANUP_FD int old = openat(f->dir, f->temp, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (old >= 0 && flock(old, LOCK_EX | LOCK_NB))
		return sink_file_taken(f->temp_path, "another guestdump writes this file");
	if (!f->force || old < 0 || fstat(old, &st) || !S_ISREG(st.st_mode))
		return sink_file_taken(f->temp_path,
				       "an earlier dump left this incomplete file; move it away or replace it");
	if (f->is_trial ? faccessat(f->dir, ".", W_OK | X_OK, AT_EACCESS) :
			  unlinkat(f->dir, f->temp, 0))
		return error_os(errno, "%s: cannot remove", f->temp_path);
	return NULL;
}

/* Create PATH.incomplete and lock it. */
static struct gdump_error *sink_file_open_temp(struct sink_file *f)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;

	f->fd = io_openat(f->dir, f->temp, flags);
	if (f->fd < 0 && errno == EEXIST) {
		struct gdump_error *err = sink_file_remove_old(f);

		if (err || f->is_trial)
			return err;
		f->fd = io_openat(f->dir, f->temp, flags);
	}
	if (f->fd < 0)
		return error_os(errno, "%s: cannot create", f->temp_path);
	fchmod(f->fd, 0600);
	flock(f->fd, LOCK_EX | LOCK_NB);        /* not every file system has locks */
	return NULL;
}

static struct sink_file *sink_file_new(bool force)
{
	struct sink_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->dir = f->fd = -1;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->change, NULL);
	f->sink = (struct sink){ .ops = &sink_file_ops, .seeks = true };
	f->force = force;
	return f;
}

static struct gdump_error *sink_file_open(struct sink_file *f, const char *path)
{
	struct gdump_error *err;
	const char *slash;

	f->path = strdup(path);
	if (!f->path || asprintf(&f->temp_path, "%s.incomplete", path) < 0)
		return error_nomem();
	slash = strrchr(f->path, '/');
	f->base = slash ? slash + 1 : f->path;
	f->temp = f->temp_path + (f->base - f->path);
	if (!*f->base)
		return error_new(GDUMP_ERR_USAGE, "%s: this is a directory; name a file in it",
				 path);
	f->dir = sink_file_open_dir(f->path, f->base);
	if (f->dir < 0)
		return error_os(errno, "%s: cannot open its directory", path);
	err = sink_file_check(f);
	return err ? err : sink_file_open_temp(f);
}

struct gdump_error *sink_file_try(const char *path, bool force)
{
	struct sink_file *f = sink_file_new(force);
	struct gdump_error *err;

	if (!f)
		return error_nomem();
	f->is_trial = true;
	err = sink_file_open(f, path);
	sink_close(&f->sink);
	return err;
}

struct gdump_error *sink_file_create(const char *path, bool force, struct sink **ret)
{
	struct sink_file *f = sink_file_new(force);
	CLEANUP_SINK struct sink *owned = (struct sink *)f;
	struct gdump_error *err;

	if (!f)
		return error_nomem();
	err = sink_file_open(f, path);
	if (err)
		return err;
	flusher_start(f);
	f->sink.partial_path = f->temp_path;
	*ret = TAKE_PTR(owned);
	return NULL;
}
