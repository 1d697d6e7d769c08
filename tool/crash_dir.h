/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * crash_dir.h - the inside of the store: directories on the disk
 *
 * Below the root, every directory is opened without following symbolic links, and must belong to
 * this user, to root or to the owner of the root.
 */
#pragma once

#include "crash_store.h"

struct crash_store {
	char *template, *root;
};

struct crash {
	const struct crash_store *store;
	int parent, fd;
	char *path, *final;             /* NAME.incomplete and NAME             */
	char id[17];
	bool first;
	json_t *earlier;                /* "earlier_dumps" of meta.json         */
};

/* A directory below the root that is a crash, or that killed processes left */
struct crash_place {
	int parent, fd;
	const char *name, *path;
	const char *suffix;             /* the suffix of @name: "" if it has none */
};

/* Why: a system call failed on @path. "PATH: cannot VERB: REASON" */
bool crash_failed(struct failure *why, const char *path, const char *verb);
bool crash_no_memory(struct failure *why);

/* Open the root. -1: failed; if only because it does not exist, *@missing is true and @why is not
 * filled; @missing NULL: it is created.
 */
int crash_open_root(const struct crash_store *s, bool *missing, struct failure *why);
/* Open a directory in @at that may be ours: -1 and errno. */
int crash_open_dir(const struct crash_store *s, int at, const char *name);
/* Open the directory that @path, which is below the root, is in; *@name is the rest of @path.
 * -1 and errno
 */
int crash_open_parent(const struct crash_store *s, const char *path, const char **name);

/* Call @fn for each place below the root until it returns false; a bounded number of directories.
 * Returns false after a failure. *@cut: there are more.
 */
typedef bool crash_place_fn(void *arg, const struct crash_place *p);
bool crash_walk(const struct crash_store *s, crash_place_fn *fn, void *arg, bool *cut, struct failure *why);

/* Whether somebody is writing it, or it has another name by now. False: *@fd, a new descriptor of it,
 * holds the lock.
 */
bool crash_is_locked(const struct crash_place *p, int *fd);

/* fsync(): 0 or an errno */
int crash_sync(int fd);

/* What is in a directory */
struct crash_file {
	char name[256];
	uint64_t size, used;            /* bytes of the file, and on the disk   */
	bool is_file;                   /* a regular one                        */
	bool is_directory;
};

struct crash_files {
	struct crash_file *files;
	size_t num;
};

/* In the order of the names, at most 4096. 0 or an errno */
int crash_files_read(int fd, struct crash_files *ret);
void crash_files_deinit(struct crash_files *f);
bool crash_file_is_incomplete(const struct crash_file *f);
bool crash_file_is_dump(const struct crash_file *f);
uint64_t crash_files_used(const struct crash_files *f);

/* Remove the files in the directory and the directory: 0 or an errno; ENOTEMPTY: it has directories. */
int crash_remove_place(const struct crash_place *p);

/* A crash was removed: remove the directories that @path, which was in it, was the last in. */
void crash_remove_empty(const struct crash_store *s, const char *path);

/* --- crash_meta.c --- */

/* The name of a guest as meta.json has it: a string, in which bytes that are not UTF-8 are escaped */
json_t *crash_guest(const char *guest);
/* The meta.json in @fd if it is ours, or NULL */
json_t *crash_meta_read(const struct crash_store *s, int fd);
/* What @c begins with */
json_t *crash_meta_new(const struct crash *c, const struct crash_facts *facts);
/* Sync each of @files to the disk, and add its size and its digest. */
bool crash_meta_add_files(json_t *meta, int fd, const char *path, const struct crash_files *files,
			  struct failure *why);
void crash_meta_end(json_t *meta, bool partial);
/* Record in meta.json that the directory will have @bytes, and whether there will be a dump. 0 or an errno */
int crash_meta_reserve(const struct crash *c, uint64_t bytes, bool has_dump);
/* Replace meta.json, and sync it. 0 or an errno */
int crash_meta_write(int fd, const json_t *meta);

/* 16 hexadecimal digits */
void crash_id_of(const char *path, char ret[17]);
/* Create the file @name in @fd, with that content, synced; it has its name when it is whole.
 * 0 or an errno
 */
int crash_put_file(int fd, const char *name, const void *data, size_t len);

/* --- crash_room.c --- */

/* Bytes */
struct crash_disk {
	uint64_t total, free;
	uint64_t pending;               /* is reserved, and not written         */
};

/* The dumps of @guest after @since, also of crashes that have been removed: an array of "id" and "time",
 * at most 1000
 */
json_t *crash_dumps_of(const struct crash_list *list, const char *guest, int64_t since);
/* Doom what is older than MaxAge of its guest. */
void crash_doom_old(struct crash_list *list, crash_limits_fn *limits_of, const void *arg, int64_t now);
/* Doom what has to go for @need bytes, the crash of @guest, which is in @list, being written. */
void crash_room_plan(struct crash_list *list, const struct crash_limits *limits, const struct crash_disk *disk,
		     const char *guest, uint64_t need, int64_t now, struct crash_room *ret);
