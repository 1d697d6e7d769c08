/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mount_tree.h - the files that guestdump mount shows, and what is in them
 *
 * Texts, such as the log of the guest's kernel, are made when their size is first asked for.  Of a
 * running guest they are made again when they are some seconds old; who has opened one keeps it.
 * All functions but open and close may be called from any thread.
 */
#pragma once

#include <pthread.h>

#include "mount_ahead.h"
#include "tool.h"

enum mount_kind { MOUNT_DIRECTORY, MOUNT_VIEW, MOUNT_RANGE, MOUNT_TEXT, MOUNT_BYTES };

/* A text at one time, with a count of its users */
struct mount_text {
	unsigned int users;
	size_t len;
	char data[];
};

struct mount_file {
	char *path;                     /* from the mount point on: "/notes/000-CORE" */
	enum mount_kind kind;
	uint64_t size;                  /* of all but texts                     */
	uint64_t paddr;                 /* of a range                           */
	const void *bytes;
	struct gdump_error *(*print)(struct gdump *g, const struct arguments *args);
	struct mount_text *text;        /* the last one; NULL: not made yet     */
	char *problem;                  /* why the last one cannot be made, or NULL */
	uint64_t made_ms;
};

struct mount_tree {
	struct gdump *g;
	const struct arguments *args;
	bool live;                      /* it is of a running guest             */
	struct gdump_view *view;
	struct mount_ahead *ahead;      /* NULL: memory changes                 */
	struct mount_file *files;       /* by path                              */
	size_t num_files;
	pthread_mutex_t lock;           /* of texts, and of standard output     */
	uint64_t time;                  /* of all files, in seconds since 1970  */
};

/* Make the tree of @g, which stays the caller's, as @args does.  Standard output becomes a file in
 * memory: what prints, prints to that.
 */
GDUMP_MUST_CHECK struct gdump_error *mount_tree_open(struct mount_tree *t, struct gdump *g,
						     const struct arguments *args);
/* Also after an error, or when it was never opened and is all zero */
void mount_tree_close(struct mount_tree *t);

/* NULL: there is none. */
struct mount_file *mount_tree_find(const struct mount_tree *t, const char *path);
/* A user of the text of @f, as it is now; to be released.  NULL, and @problem is to be freed: it cannot
 * be made.
 */
struct mount_text *mount_text_get(struct mount_tree *t, struct mount_file *f, char **problem);
void mount_text_release(struct mount_tree *t, struct mount_text *text);
/* Read a file that is not a text; the bytes are all inside it. */
GDUMP_MUST_CHECK struct gdump_error *mount_tree_read(struct mount_tree *t, const struct mount_file *f,
						     struct mount_reader *reader, uint64_t off,
						     void *buf, size_t len);
