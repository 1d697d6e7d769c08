/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * companions.h - the other files of a dump that is several files of different kinds
 *
 * A hypervisor's snapshot is a file that describes a guest, and files with its memory.  The
 * format is recognized by the first one, which then asks for the others: those that the caller
 * passed, or those next to the first one.  What a file says is never taken for the path of
 * another one, as it may be hostile: only the last component of it is.
 */
#pragma once

#include "bytes.h"

struct companions {
	const char *path;               /* of the first file                    */
	const char *const *names;       /* files that the caller passed after it */
	size_t num;
	const struct bytes_spool *spool;        /* may be NULL                  */
};

/* The @i-th one that the caller passed */
MUST_CHECK struct gdump_error *companion_open(const struct companions *c, size_t i,
					      struct bytes **ret);
/* The one with the last component of @name: one that the caller passed, or a file next to the first
 * one.  GDUMP_ERR_PART: there is none.
 */
MUST_CHECK struct gdump_error *companion_find(const struct companions *c, const char *name,
					      struct bytes **ret);
/* The directory of @path with @name in it, to be freed; NULL: out of memory */
char *companion_path(const char *path, const char *name);

/* If @path is a directory that has the file @main, or the file @other next to one: set *@ret to the
 * path of @main, to be freed; else to NULL.
 */
MUST_CHECK struct gdump_error *companion_main(const char *path, const char *main, const char *other,
					      char **ret);

/* The bytes of @num files, one after the other, as those of one file.  Owns the files, also on
 * error; @in is an array of the caller.
 */
MUST_CHECK struct gdump_error *bytes_join(struct bytes *const *in, size_t num, struct bytes **ret);
/* The bytes of @top, but where that has a hole, those of @base.  Owns both, also on error. */
MUST_CHECK struct gdump_error *bytes_overlay(struct bytes *top, struct bytes *base,
					     struct bytes **ret);
