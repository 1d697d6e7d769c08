/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash_dir.h"

enum { MAX_SAME_NAME = 10000 };

bool crash_store_open(const char *template, struct failure *why, struct crash_store **ret)
{
	struct crash_store *s = calloc(1, sizeof(*s));
	struct bad_value bad;
	const char *text;

	if (!parse_crash_template(template, &text, &bad)) {
		free(s);
		*why = failure_new(FAILURE_USAGE, 0, "%s: '%.*s' is not %s", template, bad.len, bad.piece, bad.wanted);
		return false;
	}
	if (s) {
		s->template = strdup(template);
		s->root = crash_template_root(template);
	}
	if (!s || !s->template || !s->root) {
		crash_store_close(s);
		return crash_no_memory(why);
	}
	*ret = s;
	return true;
}

void crash_store_close(struct crash_store *s)
{
	if (!s)
		return;
	free(s->template);
	free(s->root);
	free(s);
}

const char *crash_store_root(const struct crash_store *s)
{
	return s->root;
}

const char *crash_path(const struct crash *c)
{
	return c->path;
}

const char *crash_final_path(const struct crash *c)
{
	return c->final;
}

const char *crash_id(const struct crash *c)
{
	return c->id;
}

bool crash_is_first(const struct crash *c)
{
	return c->first;
}

int crash_fd(const struct crash *c)
{
	return c->fd;
}

void crash_release(struct crash *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	if (c->parent >= 0)
		close(c->parent);
	json_decref(c->earlier);
	free(c->path);
	free(c->final);
	free(c);
}

/* --- the beginning --- */

/* What happened to the guest before: whether this is the first of a series, and earlier dumps */
static bool find_series(struct crash *c, const struct crash_facts *facts, const struct crash_limits *limits,
			struct failure *why)
{
	struct crash_list list = { 0 };
	int64_t since;
	json_t *guest;

	c->first = true;
	c->earlier = json_array();
	if (!limits || !limits->throttle.seconds)
		return true;
	if (!crash_list_add(&list, c->store, why))
		return false;
	since = facts->time - (int64_t)limits->throttle.seconds;
	guest = crash_guest(facts->guest);
	for (size_t i = 0; i < list.num; i++)
		c->first &= list.entries[i].time <= since || strcmp(list.entries[i].guest, json_string_value(guest));
	json_decref(c->earlier);
	c->earlier = crash_dumps_of(&list, json_string_value(guest), since);
	json_decref(guest);
	crash_list_deinit(&list);
	return true;
}

/* Open the directory that the crash is to be in, and create what is missing. @path is below the
 * root; *@name is its last component. -1: failed
 */
static int make_parents(const struct crash_store *s, const char *path, const char **name, struct failure *why)
{
	int fd = crash_open_root(s, NULL, why), next;
	char component[NAME_MAX + 1];
	size_t len;

	while (fd >= 0 && path[len = strcspn(path, "/")]) {
		snprintf(component, sizeof(component), "%.*s", (int)len, path);
		if (!mkdirat(fd, component, 0700))
			crash_sync(fd);
		next = crash_open_dir(s, fd, component);
		if (next < 0 && errno == EPERM)
			*why = failure_new(FAILURE_NO_PERMISSION, EPERM, "%s: '%s' belongs to another user, or others "
					   "can write to it: crashes are not stored there", s->root, component);
		else if (next < 0)
			crash_failed(why, s->root, "create a directory in it");
		close(fd);
		fd = next;
		path += len + 1;
	}
	*name = path;
	return fd;
}

static bool name_is_taken(int parent, const char *name)
{
	static const char *const suffixes[] = { "", CRASH_PARTIAL, CRASH_REMOVING };
	char text[NAME_MAX + 1];
	struct stat st;

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		snprintf(text, sizeof(text), "%s%s", name, suffixes[i]);
		if (!fstatat(parent, text, &st, AT_SYMLINK_NOFOLLOW))
			return true;
	}
	return false;
}

/* Create and lock @name. -1 and errno, which is EEXIST if another name is to be tried. */
static int make_locked(const struct crash_store *s, int parent, const char *name)
{
	struct stat opened, there;
	int fd;

	if (mkdirat(parent, name, 0700))
		return -1;
	fd = crash_open_dir(s, parent, name);
	if (fd < 0)
		return -1;
	if ((!flock(fd, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK) && !fstat(fd, &opened) &&
	    !fstatat(parent, name, &there, AT_SYMLINK_NOFOLLOW) && opened.st_ino == there.st_ino)
		return fd;
	/* another process just found it, and takes it for a crash whose process was killed */
	close(fd);
	errno = EEXIST;
	return -1;
}

/* Create NAME.incomplete, or NAME-2.incomplete and so on. @base is NAME without these. */
static bool make_directory(struct crash *c, const char *below, const char *base, struct failure *why)
{
	char name[NAME_MAX + 1], temp[NAME_MAX + 1];

	for (unsigned int i = 1; i < MAX_SAME_NAME; i++) {
		char number[12] = "";

		if (i > 1)
			snprintf(number, sizeof(number), "-%u", i);
		snprintf(name, sizeof(name), "%s%s", base, number);
		snprintf(temp, sizeof(temp), "%.240s" CRASH_INCOMPLETE, name);
		if (name_is_taken(c->parent, name))
			continue;
		c->fd = make_locked(c->store, c->parent, temp);
		if (c->fd < 0 && errno == EEXIST)
			continue;
		if (c->fd < 0)
			return crash_failed(why, c->store->root, "create the directory of a crash in it");
		if (asprintf(&c->final, "%s/%.*s%s", c->store->root, (int)(base - below), below, name) < 0)
			c->final = NULL;
		if (!c->final || asprintf(&c->path, "%s" CRASH_INCOMPLETE, c->final) < 0)
			c->path = NULL;
		return c->path || crash_no_memory(why);
	}
	errno = EEXIST;
	return crash_failed(why, c->store->root, "find a free name for a crash");
}

/* The directory that it is to be in may vanish in between, when a crash in it is removed. */
static bool make_all(struct crash *c, const char *below, struct failure *why)
{
	const char *base;

	for (int tries = 0; tries < 10; tries++) {
		c->parent = make_parents(c->store, below, &base, why);
		if (c->parent >= 0 && make_directory(c, below, base, why))
			return true;
		if (why->errnum != ENOENT)
			return false;
		failure_deinit(why);
		if (c->parent >= 0)
			close(c->parent);
		c->parent = -1;
	}
	errno = ENOENT;
	return crash_failed(why, c->store->root, "create the directory of a crash in it");
}

static bool begin_at(struct crash *c, const char *below, const struct crash_facts *facts, struct failure *why)
{
	json_t *meta;
	int rc;

	if (!make_all(c, below, why))
		return false;
	crash_id_of(c->final, c->id);
	meta = crash_meta_new(c, facts);
	rc = meta ? crash_meta_write(c->fd, meta) : ENOMEM;
	json_decref(meta);
	errno = rc;
	return !rc || crash_failed(why, c->path, "write " CRASH_META);
}

bool crash_begin(const struct crash_store *s, const struct crash_facts *facts, const struct crash_limits *limits,
		 struct failure *why, struct crash **ret)
{
	struct crash *c = calloc(1, sizeof(*c));
	char *below = crash_template_expand(s->template, facts->guest, facts->time);
	bool good;

	if (c)
		*c = (struct crash){ .store = s, .parent = -1, .fd = -1 };
	if (!c || !below) {
		free(c);
		free(below);
		return crash_no_memory(why);
	}
	good = find_series(c, facts, limits, why) && begin_at(c, below, facts, why);
	free(below);
	if (good)
		*ret = c;
	else
		crash_abandon(c);
	return good;
}

/* --- its files, and the end --- */

bool crash_write_file(struct crash *c, const char *name, const void *data, size_t len, struct failure *why)
{
	char path[PATH_MAX];
	const int rc = crash_put_file(c->fd, name, data, len);

	if (!rc)
		return true;
	snprintf(path, sizeof(path), "%s/%s", c->path, name);
	errno = rc;
	return crash_failed(why, path, "write this file of a crash");
}

/* Give the directory its final name, @suffix included. */
static int rename_finally(const struct crash *c, const char *suffix)
{
	const char *from = strrchr(c->path, '/') + 1;
	char to[NAME_MAX + 1];

	snprintf(to, sizeof(to), "%s%s", strrchr(c->final, '/') + 1, suffix);
	if (!renameat2(c->parent, from, c->parent, to, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return errno;
	/* the file system has no such flag */
	if (!faccessat(c->parent, to, F_OK, AT_SYMLINK_NOFOLLOW))
		return EEXIST;
	return renameat(c->parent, from, c->parent, to) ? errno : 0;
}

static bool has_incomplete(const struct crash_files *files)
{
	for (size_t i = 0; i < files->num; i++) {
		if (crash_file_is_incomplete(&files->files[i]))
			return true;
	}
	return false;
}

static bool finish_with(struct crash *c, const struct crash_facts *facts, const struct crash_files *files,
			struct failure *why, char **path)
{
	const bool partial = has_incomplete(files);
	json_t *meta = crash_meta_new(c, facts);
	bool good = crash_meta_add_files(meta, c->fd, c->path, files, why);
	int rc = 0;

	if (good) {
		crash_meta_end(meta, partial);
		rc = crash_meta_write(c->fd, meta);
	}
	json_decref(meta);
	if (!good)
		return false;
	if (asprintf(path, "%s%s", c->final, partial ? CRASH_PARTIAL : "") < 0)
		return crash_no_memory(why);
	if (!rc)
		rc = crash_sync(c->fd);
	if (!rc)
		rc = rename_finally(c, partial ? CRASH_PARTIAL : "");
	if (!rc)
		rc = crash_sync(c->parent);
	if (!rc)
		return true;
	free(*path);
	errno = rc;
	return crash_failed(why, c->path, "finish this crash");
}

bool crash_finish(struct crash *c, const struct crash_facts *facts, struct failure *why, char **path)
{
	struct crash_files files;
	bool good;

	errno = crash_files_read(c->fd, &files);
	good = !errno || crash_failed(why, c->path, "read this directory");
	if (good)
		good = finish_with(c, facts, &files, why, path);
	crash_files_deinit(&files);
	crash_release(c);
	return good;
}

void crash_abandon(struct crash *c)
{
	const struct crash_place p = {
		.parent = c->parent, .fd = c->fd, .path = c->path, .suffix = CRASH_INCOMPLETE,
		.name = c->path ? strrchr(c->path, '/') + 1 : NULL,
	};

	if (p.name && c->fd >= 0 && !crash_remove_place(&p))
		crash_remove_empty(c->store, c->path);
	crash_release(c);
}
