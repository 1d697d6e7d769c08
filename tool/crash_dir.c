/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "crash_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DIRECTORIES = 1 << 16, MAX_FILES = 4096 };

bool crash_failed(struct failure *why, const char *path, const char *verb)
{
	const int errnum = errno;

	*why = failure_new(failure_kind_of_errno(errnum), errnum, "%s: cannot %s: %s", path, verb, strerror(errnum));
	return false;
}

bool crash_no_memory(struct failure *why)
{
	*why = failure_new(FAILURE_NO_MEMORY, ENOMEM, "out of memory");
	return false;
}

static bool is_owner(uid_t uid)
{
	return !uid || uid == geteuid();
}

/* mkdir -p; the last one is for this user alone. */
static bool root_create(const char *root)
{
	char path[PATH_MAX];
	size_t len = 0;

	while (root[len]) {
		len += 1 + strcspn(root + len + 1, "/");
		if (len >= sizeof(path)) {
			errno = ENAMETOOLONG;
			return false;
		}
		snprintf(path, sizeof(path), "%.*s", (int)len, root);
		if (mkdir(path, root[len] ? 0755 : 0700) && errno != EEXIST)
			return false;
	}
	return true;
}

int crash_open_root(const struct crash_store *s, bool *missing, struct failure *why)
{
	struct stat st;
	int fd;

	if (!missing && !root_create(s->root)) {
		crash_failed(why, s->root, "create this directory");
		return -1;
	}
	fd = open(s->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && missing) {
		*missing = true;
		return -1;
	}
	if (fd < 0 || fstat(fd, &st)) {
		crash_failed(why, s->root, "open this directory");
	} else if (!is_owner(st.st_uid) && geteuid()) {
		*why = failure_new(FAILURE_NO_PERMISSION, 0, "%s: the directory for crashes belongs to another user", s->root);
	} else if (st.st_mode & 022 && !(st.st_mode & S_ISVTX)) {
		*why = failure_new(FAILURE_NO_PERMISSION, 0, "%s: other users can write to the directory for crashes; "
				   "take that right away: chmod go-w", s->root);
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Root may look after the crashes of the user that owns the directory. */
static bool may_be_ours(const struct crash_store *s, const struct stat *st)
{
	struct stat root;

	return is_owner(st->st_uid) || (!geteuid() && !stat(s->root, &root) && st->st_uid == root.st_uid);
}

int crash_open_dir(const struct crash_store *s, int at, const char *name)
{
	const int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && may_be_ours(s, &st) && (!(st.st_mode & 022) || st.st_mode & S_ISVTX))
		return fd;
	close(fd);
	errno = EPERM;
	return -1;
}

int crash_open_parent(const struct crash_store *s, const char *path, const char **name)
{
	int fd = open(s->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), next;
	const char *rest = path + strlen(s->root) + 1;
	char component[NAME_MAX + 1];
	size_t len;

	while (fd >= 0 && rest[len = strcspn(rest, "/")]) {
		if (len >= sizeof(component)) {
			close(fd);
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(component, rest, len);
		component[len] = '\0';
		next = crash_open_dir(s, fd, component);
		close(fd);
		fd = next;
		rest += len + 1;
	}
	*name = rest;
	return fd;
}

/* --- the walk --- */

struct walk {
	const struct crash_store *store;
	crash_place_fn *fn;
	void *arg;
	unsigned int num;
	bool cut, stop;
};

static const char *suffix_of(const char *name)
{
	static const char *const suffixes[] = { CRASH_INCOMPLETE, CRASH_PARTIAL, CRASH_REMOVING };
	const size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		const size_t n = strlen(suffixes[i]);

		if (len > n && !strcmp(name + len - n, suffixes[i]))
			return suffixes[i];
	}
	return "";
}

/* Whether a directory is a crash, rather than one on the way to crashes */
static bool is_place(const struct crash_place *p)
{
	struct stat st;

	return *p->suffix || !fstatat(p->fd, CRASH_META, &st, AT_SYMLINK_NOFOLLOW);
}

static void walk_in(struct walk *w, int fd, const char *path, unsigned int depth);

static void walk_name(struct walk *w, int parent, const char *name, const char *path, unsigned int depth)
{
	struct crash_place p = { .parent = parent, .name = name, .suffix = suffix_of(name) };
	char child[PATH_MAX];

	p.fd = crash_open_dir(w->store, parent, name);
	if (p.fd < 0)
		return;
	w->cut = ++w->num > MAX_DIRECTORIES;
	p.path = child;
	if ((size_t)snprintf(child, sizeof(child), "%s/%s", path, name) < sizeof(child) && !w->cut) {
		if (is_place(&p))
			w->stop = !w->fn(w->arg, &p);
		else if (depth + 1 < CRASH_DEPTH)
			walk_in(w, p.fd, child, depth + 1);
	}
	close(p.fd);
}

static void walk_in(struct walk *w, int fd, const char *path, unsigned int depth)
{
	const int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!dir && copy >= 0)
		close(copy);
	while (dir && !w->stop && !w->cut && (e = readdir(dir))) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN))
			walk_name(w, fd, e->d_name, path, depth);
	}
	if (dir)
		closedir(dir);
}

bool crash_walk(const struct crash_store *s, crash_place_fn *fn, void *arg, bool *cut, struct failure *why)
{
	struct walk w = { .store = s, .fn = fn, .arg = arg };
	bool missing = false;
	const int fd = crash_open_root(s, &missing, why);

	if (fd < 0)
		return missing;
	walk_in(&w, fd, s->root, 0);
	close(fd);
	if (cut)
		*cut |= w.cut;
	return true;
}

bool crash_is_locked(const struct crash_place *p, int *fd)
{
	struct stat opened, there;

	*fd = openat(p->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* a file system without locks: it may be locked on another host */
	if (*fd >= 0 && !flock(*fd, LOCK_EX | LOCK_NB) && !fstat(*fd, &opened) &&
	    !fstatat(p->parent, p->name, &there, AT_SYMLINK_NOFOLLOW) && opened.st_ino == there.st_ino)
		return false;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return true;
}

int crash_sync(int fd)
{
	int rc;

	while ((rc = fsync(fd)) && errno == EINTR)
		;
	return rc ? errno : 0;
}

/* --- what is in a directory --- */

static int files_by_name(const void *a, const void *b)
{
	return strcmp(((const struct crash_file *)a)->name, ((const struct crash_file *)b)->name);
}

static int files_add(struct crash_files *f, int fd, const char *name)
{
	struct crash_file *grown, *file;
	struct stat st;

	if (f->num == MAX_FILES)
		return E2BIG;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : errno;
	grown = realloc(f->files, (f->num + 1) * sizeof(*f->files));
	if (!grown)
		return ENOMEM;
	f->files = grown;
	file = &f->files[f->num++];
	*file = (struct crash_file){
		.size = (uint64_t)st.st_size, .used = 512 * (uint64_t)st.st_blocks,
		.is_file = S_ISREG(st.st_mode), .is_directory = S_ISDIR(st.st_mode),
	};
	snprintf(file->name, sizeof(file->name), "%s", name);
	return 0;
}

int crash_files_read(int fd, struct crash_files *ret)
{
	const int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	int rc = 0;

	*ret = (struct crash_files){ 0 };
	if (!dir) {
		rc = errno;
		if (copy >= 0)
			close(copy);
		return rc;
	}
	while (!rc && (e = readdir(dir))) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			rc = files_add(ret, fd, e->d_name);
	}
	closedir(dir);
	if (rc)
		crash_files_deinit(ret);
	else if (ret->num)
		qsort(ret->files, ret->num, sizeof(*ret->files), files_by_name);
	return rc;
}

void crash_files_deinit(struct crash_files *f)
{
	free(f->files);
	*f = (struct crash_files){ 0 };
}

bool crash_file_is_incomplete(const struct crash_file *f)
{
	return !strcmp(suffix_of(f->name), CRASH_INCOMPLETE);
}

bool crash_file_is_dump(const struct crash_file *f)
{
	const char *rest = f->name + strlen(CRASH_DUMP);

	if (!f->is_file || strncmp(f->name, CRASH_DUMP, strlen(CRASH_DUMP)))
		return false;
	if (*rest == '-')               /* a part of a split dump */
		rest += 1 + strspn(rest + 1, "0123456789");
	return !*rest || !strcmp(rest, CRASH_INCOMPLETE);
}

uint64_t crash_files_used(const struct crash_files *f)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < f->num; i++)
		sum += f->files[i].used;
	return sum;
}

/* Give @name the suffix for what is being removed: it is whole no longer. */
static int mark_removing(const struct crash_place *p, char *ret, size_t size)
{
	if (!strcmp(p->suffix, CRASH_REMOVING)) {
		snprintf(ret, size, "%s", p->name);
		return 0;
	}
	for (unsigned int i = 0; i < 100; i++) {
		char number[12] = "";

		if (i)
			snprintf(number, sizeof(number), "-%u", i);
		if ((size_t)snprintf(ret, size, "%s%s" CRASH_REMOVING, p->name, number) >= size)
			return ENAMETOOLONG;
		if (!renameat2(p->parent, p->name, p->parent, ret, RENAME_NOREPLACE))
			return 0;
		if (errno == EINVAL || errno == ENOSYS)         /* the file system has no such flag */
			return renameat(p->parent, p->name, p->parent, ret) ? errno : 0;
		if (errno != EEXIST && errno != ENOTEMPTY)
			return errno;
	}
	return EEXIST;
}

int crash_remove_place(const struct crash_place *p)
{
	char name[NAME_MAX + 1];
	struct crash_files f;
	int rc = crash_files_read(p->fd, &f);

	for (size_t i = 0; !rc && i < f.num; i++)
		rc = f.files[i].is_directory ? ENOTEMPTY : 0;
	if (!rc)
		rc = mark_removing(p, name, sizeof(name));
	/* meta.json, which shows that the directory is ours, goes last */
	for (size_t i = 0; !rc && i < f.num; i++) {
		if (strcmp(f.files[i].name, CRASH_META) && unlinkat(p->fd, f.files[i].name, 0) && errno != ENOENT)
			rc = errno;
	}
	if (!rc && unlinkat(p->fd, CRASH_META, 0) && errno != ENOENT)
		rc = errno;
	crash_files_deinit(&f);
	if (!rc && unlinkat(p->parent, name, AT_REMOVEDIR))
		rc = errno;
	return rc;
}

void crash_remove_empty(const struct crash_store *s, const char *path)
{
	const size_t root = strlen(s->root);
	char *dir = strdup(path), *slash;
	const char *name;
	int parent, rc = 0;

	while (dir && !rc && (slash = strrchr(dir, '/')) > dir + root) {
		*slash = '\0';
		parent = crash_open_parent(s, dir, &name);
		rc = parent < 0 || unlinkat(parent, name, AT_REMOVEDIR);
		if (parent >= 0)
			close(parent);
	}
	free(dir);
}
