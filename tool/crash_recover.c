/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * crash_recover.c - what killed processes left
 *
 * Files that are not whole go, since nothing can read a dump whose process was killed. What is whole,
 * such as the report, is kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash_dir.h"
#include "json.h"

struct recovery {
	const struct crash_store *store;
	crash_recovered_fn *fn;
	void *arg;
};

static bool is_whole(const struct crash_file *f)
{
	return f->is_file && f->size && strcmp(f->name, CRASH_META) && !crash_file_is_incomplete(f);
}

static size_t num_whole(const struct crash_files *files)
{
	size_t num = 0;

	for (size_t i = 0; i < files->num; i++)
		num += is_whole(&files->files[i]);
	return num;
}

/* Whether the directory has nothing but the beginning of a meta.json: then it is ours all the same. */
static bool has_just_begun(const struct crash_files *files)
{
	return !files->num || (files->num == 1 && files->files[0].is_file &&
			       !strcmp(files->files[0].name, CRASH_META CRASH_INCOMPLETE));
}

static int remove_incomplete(int fd, struct crash_files *files)
{
	for (size_t i = 0; i < files->num; i++) {
		if (crash_file_is_incomplete(&files->files[i]) && !files->files[i].is_directory &&
		    unlinkat(fd, files->files[i].name, 0))
			return errno;
	}
	crash_files_deinit(files);
	return crash_files_read(fd, files);
}

/* Make NAME.partial of NAME.incomplete; *@name is its name then. 0 or an errno */
static int keep(const struct crash_place *p, json_t *meta, struct crash_files *files, char *name, size_t size)
{
	struct failure why;
	int rc = remove_incomplete(p->fd, files);

	if (!rc && !crash_meta_add_files(meta, p->fd, p->path, files, &why)) {
		rc = why.errnum ? why.errnum : EIO;
		failure_deinit(&why);
	}
	if (rc)
		return rc;
	json_array_append_new(json_object_get(meta, "notes"),
			      json_string("the process that wrote this was killed; what it had not finished was removed"));
	crash_meta_end(meta, true);
	rc = crash_meta_write(p->fd, meta);
	snprintf(name, size, "%.*s" CRASH_PARTIAL, (int)(strlen(p->name) - strlen(p->suffix)), p->name);
	if (!rc)
		rc = crash_sync(p->fd);
	if (!rc && renameat2(p->parent, p->name, p->parent, name, RENAME_NOREPLACE))
		rc = errno;
	if (!rc)
		rc = crash_sync(p->parent);
	return rc;
}

static void recover_locked(const struct recovery *r, const struct crash_place *p, json_t *meta,
			   struct crash_files *files)
{
	const uint64_t before = crash_files_used(files);
	struct crash_recovered done = { .path = p->path, .bytes = before };
	char name[NAME_MAX + 1], kept[PATH_MAX];
	int rc;

	if (meta && strcmp(p->suffix, CRASH_REMOVING) && num_whole(files)) {
		rc = keep(p, meta, files, name, sizeof(name));
		snprintf(kept, sizeof(kept), "%.*s%s", (int)(strlen(p->path) - strlen(p->name)), p->path, name);
		done.kept = rc ? NULL : kept;
		done.bytes = before > crash_files_used(files) ? before - crash_files_used(files) : 0;
	} else {
		rc = crash_remove_place(p);
		crash_remove_empty(r->store, p->path);
	}
	if (rc)
		done.problem = strerror(rc);
	if (r->fn)
		r->fn(r->arg, &done);
}

static bool recover_place(void *arg, const struct crash_place *p)
{
	const struct recovery *r = arg;
	struct crash_files files;
	json_t *meta;
	int lock;

	if (strcmp(p->suffix, CRASH_INCOMPLETE) && strcmp(p->suffix, CRASH_REMOVING))
		return true;
	if (crash_is_locked(p, &lock))
		return true;
	if (!crash_files_read(p->fd, &files)) {
		meta = crash_meta_read(r->store, p->fd);
		if (meta || has_just_begun(&files))
			recover_locked(r, p, meta, &files);
		json_decref(meta);
		crash_files_deinit(&files);
	}
	close(lock);
	return true;
}

bool crash_recover(const struct crash_store *s, crash_recovered_fn *fn, void *arg, struct failure *why)
{
	struct recovery r = { s, fn, arg };

	return crash_walk(s, recover_place, &r, NULL, why);
}
