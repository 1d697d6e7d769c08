/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mount_fuse.c - this file alone knows libfuse
 *
 * The kernel's page cache keeps what is read of a dump, so that what is read again costs nothing.
 * Of a running guest, nothing is kept.
 */
#define FUSE_USE_VERSION 32

#include "mount_fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LOGGED = 1000, CACHE_SECONDS = 3600 };

struct mount_fuse {
	struct fuse *fuse;
	struct mount_tree *tree;
	bool allow_other;
	mount_log_fn *log;
	pthread_mutex_t lock;           /* of what follows                      */
	char *last;                     /* that was logged                      */
	unsigned int num_logged;
};

/* An open file */
struct mount_handle {
	struct mount_file *file;
	struct mount_text *text;        /* NULL: it is no text                  */
	struct mount_reader reader;
};

static struct mount_fuse *mount_self(void)
{
	return fuse_get_context()->private_data;
}

static struct mount_handle *mount_handle_of(const struct fuse_file_info *fi)
{
	return fi ? (struct mount_handle *)(uintptr_t)fi->fh : NULL;
}

/* The kernel asks again for a smaller part of what cannot be read: that is the same message. */
static void mount_log(struct mount_fuse *m, const char *path, const char *message)
{
	char *text;

	if (asprintf(&text, "%s: cannot read: %s", path + 1, message) < 0)
		return;
	pthread_mutex_lock(&m->lock);
	if (m->num_logged < MAX_LOGGED && (!m->last || strcmp(m->last, text))) {
		m->log(text);
		if (++m->num_logged == MAX_LOGGED)
			m->log("too many errors; no more of them are reported");
		free(m->last);
		m->last = text;
		text = NULL;
	}
	pthread_mutex_unlock(&m->lock);
	free(text);
}

static void *mount_op_init(struct fuse_conn_info *conn, struct fuse_config *cfg)
{
	struct mount_fuse *m = mount_self();

	(void)conn;
	cfg->use_ino = 1;
	cfg->nullpath_ok = 1;
	cfg->attr_timeout = cfg->entry_timeout = m->tree->live ? 1 : CACHE_SECONDS;
	cfg->negative_timeout = CACHE_SECONDS;
	return m;
}

/* What a text has now; one that cannot be made is empty, and cannot be opened. */
static uint64_t mount_text_size(struct mount_fuse *m, struct mount_file *f)
{
	char *problem;
	struct mount_text *text = mount_text_get(m->tree, f, &problem);
	const uint64_t size = text ? text->len : 0;

	if (text)
		mount_text_release(m->tree, text);
	free(problem);
	return size;
}

static int mount_op_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	struct mount_fuse *m = mount_self();
	const struct mount_handle *h = mount_handle_of(fi);
	struct mount_file *f = h ? h->file : mount_tree_find(m->tree, path);
	const mode_t all = m->allow_other ? 0555 : 0500;

	if (!f)
		return -ENOENT;
	*st = (struct stat){ .st_ino = (ino_t)(f - m->tree->files) + 1, .st_nlink = 1,
			     .st_uid = getuid(), .st_gid = getgid(), .st_blksize = 128 << 10 };
	st->st_atime = st->st_mtime = st->st_ctime = (time_t)m->tree->time;
	if (f->kind == MOUNT_DIRECTORY) {
		st->st_mode = S_IFDIR | all;
		st->st_nlink = 2;
		return 0;
	}
	st->st_mode = S_IFREG | (all & 0444);
	st->st_size = (off_t)(f->kind != MOUNT_TEXT ? f->size :
			      h && h->text ? h->text->len : mount_text_size(m, f));
	st->st_blocks = (st->st_size + 511) / 512;
	return 0;
}

static int mount_op_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t off,
			    struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	const struct mount_tree *t = mount_self()->tree;
	const char *above = mount_handle_of(fi)->file->path;
	const size_t len = strcmp(above, "/") ? strlen(above) : 0;

	(void)path, (void)off, (void)flags;
	fill(buf, ".", NULL, 0, 0);
	fill(buf, "..", NULL, 0, 0);
	for (size_t i = 0; i < t->num_files; i++) {
		const char *name = t->files[i].path;

		if (!strncmp(name, above, len) && name[len] == '/' && name[len + 1] &&
		    !strchr(name + len + 1, '/'))
			fill(buf, name + len + 1, NULL, 0, 0);
	}
	return 0;
}

static int mount_op_open(const char *path, struct fuse_file_info *fi)
{
	struct mount_fuse *m = mount_self();
	struct mount_file *f = mount_tree_find(m->tree, path);
	struct mount_handle *h;
	char *problem = NULL;

	if (!f)
		return -ENOENT;
	if ((fi->flags & O_ACCMODE) != O_RDONLY)
		return -EROFS;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->file = f;
	if (f->kind == MOUNT_TEXT)
		h->text = mount_text_get(m->tree, f, &problem);
	if (f->kind == MOUNT_TEXT && !h->text) {
		mount_log(m, f->path, problem ? problem : "out of memory");
		free(problem);
		free(h);
		return -EIO;
	}
	fi->direct_io = m->tree->live;
	fi->keep_cache = !m->tree->live;
	fi->fh = (uintptr_t)h;
	return 0;
}

static int mount_op_release(const char *path, struct fuse_file_info *fi)
{
	struct mount_handle *h = mount_handle_of(fi);

	(void)path;
	if (h->text)
		mount_text_release(mount_self()->tree, h->text);
	free(h);
	return 0;
}

static int mount_op_read(const char *path, char *buf, size_t len, off_t off, struct fuse_file_info *fi)
{
	struct mount_fuse *m = mount_self();
	struct mount_handle *h = mount_handle_of(fi);
	const uint64_t size = h->text ? h->text->len : h->file->size;
	struct gdump_error *err;

	(void)path;
	if (off < 0 || (uint64_t)off >= size)
		return 0;
	len = len < size - (uint64_t)off ? len : (size_t)(size - (uint64_t)off);
	if (h->text) {
		memcpy(buf, h->text->data + off, len);
		return (int)len;
	}
	err = mount_tree_read(m->tree, h->file, &h->reader, (uint64_t)off, buf, len);
	if (!err)
		return (int)len;
	mount_log(m, h->file->path, gdump_error_message(err));
	gdump_error_destroy(err);
	return -EIO;
}

static const struct fuse_operations mount_ops = {
	.init = mount_op_init,
	.getattr = mount_op_getattr,
	.opendir = mount_op_open,
	.readdir = mount_op_readdir,
	.releasedir = mount_op_release,
	.open = mount_op_open,
	.release = mount_op_release,
	.read = mount_op_read,
};

/* "-o ro,...,fsname=SOURCE", where SOURCE may contain anything */
static bool mount_fuse_options(struct fuse_args *args, const char *source, bool allow_other)
{
	char *options = NULL, *name = NULL;
	bool good = asprintf(&name, "fsname=%s", source) >= 0 &&
		    !fuse_opt_add_opt(&options, "ro,nodev,nosuid,noexec,default_permissions,subtype=guestdump") &&
		    !fuse_opt_add_opt_escaped(&options, name) &&
		    (!allow_other || !fuse_opt_add_opt(&options, "allow_other")) &&
		    !fuse_opt_add_arg(args, "guestdump") && !fuse_opt_add_arg(args, "-o") &&
		    !fuse_opt_add_arg(args, options);

	free(options);
	free(name);
	return good;
}

struct mount_fuse *mount_fuse_open(const char *at, const char *source, bool allow_other)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct mount_fuse *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->allow_other = allow_other;
	pthread_mutex_init(&m->lock, NULL);
	if (mount_fuse_options(&args, source, allow_other))
		m->fuse = fuse_new(&args, &mount_ops, sizeof(mount_ops), m);
	fuse_opt_free_args(&args);
	if (m->fuse && !fuse_mount(m->fuse, at))
		return m;
	if (m->fuse)
		fuse_destroy(m->fuse);
	pthread_mutex_destroy(&m->lock);
	free(m);
	return NULL;
}

void mount_fuse_close(struct mount_fuse *m)
{
	fuse_unmount(m->fuse);
	fuse_destroy(m->fuse);
	pthread_mutex_destroy(&m->lock);
	free(m->last);
	free(m);
}

void mount_fuse_serve(struct mount_fuse *m, struct mount_tree *tree, mount_log_fn *log)
{
	struct fuse_loop_config config = { .max_idle_threads = 16 };
	struct fuse_session *session = fuse_get_session(m->fuse);

	m->tree = tree;
	m->log = log;
	if (fuse_set_signal_handlers(session))
		return;
	fuse_loop_mt(m->fuse, &config);
	fuse_remove_signal_handlers(session);
}

void mount_fuse_exit(struct mount_fuse *m)
{
	/* wakes the thread that waits in fuse_loop_mt() */
	fuse_exit(m->fuse);
	kill(getpid(), SIGTERM);
}
