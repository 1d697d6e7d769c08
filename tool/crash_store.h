/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * crash_store.h - the directory of crashes: each crash of a guest is a directory in it
 *
 *     NAME                whole: all that is in it is on the disk
 *     NAME.incomplete     is being written, and locked by flock() as long as it is; or the process
 *                         that wrote it was killed
 *     NAME.partial        something in it is whole, and something is missing: its meta.json says what
 *     NAME.removing       is being removed
 *
 * NAME comes from a template (crash_template.h), with -2, -3 ... for crashes of the same second. A
 * directory is ours if the template can have made it and it has a meta.json that is ours; nothing
 * else is ever removed, and no symbolic link below the root is followed.
 *
 * A process forked after crash_begin() shares the lock and may write and finish the crash itself;
 * then the parent calls crash_release(). Many processes may use a directory at once, each with a store
 * of its own; all that they have to know of each other is on the disk.
 *
 * A function that can fail returns false and fills @why, which the caller reports (failure_report())
 * or releases (failure_deinit()); @ret is not touched then.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "crash_template.h"
#include "failure.h"

#define CRASH_INCOMPLETE ".incomplete"
#define CRASH_PARTIAL ".partial"
#define CRASH_REMOVING ".removing"
#define CRASH_META "meta.json"
#define CRASH_DUMP "vmcore"             /* also as the beginning of a name: parts of a split dump */

/* Bytes, or a part of the file system: as in coredump.conf(5) */
struct space_limit {
	uint64_t bytes;
	unsigned int percent;           /* 0: @bytes counts                     */
};

/* At most @num in @seconds */
struct throttle {
	unsigned int num;               /* 0: there is no limit                 */
	uint64_t seconds;
};

struct crash_limits {
	struct space_limit max_use;     /* of all crashes of the store; 0: no limit */
	struct space_limit keep_free;   /* remains free on the file system      */
	uint64_t max_age_s;             /* older ones are removed; 0: no limit  */
	unsigned int max_per_guest;     /* crashes of one guest; 0: no limit    */
	struct throttle throttle;       /* dumps of one guest. Crashes of a guest that follow each
					 * other within its @seconds are a series. */
};

/* What is known of a crash. All strings may be NULL, except @guest, and hold any bytes. */
struct crash_facts {
	const char *guest;              /* its name, also for limits            */
	const char *uuid;
	const char *source;             /* what guestdump dump would be given: "qmp:..." */
	const char *hypervisor;         /* and its version: "QEMU 7.2.0"        */
	pid_t pid;                      /* of the hypervisor; 0: unknown        */
	const char *reason;             /* as in On= of watch.conf(5)           */
	const char *detail;             /* the line of the log, for example     */
	int64_t time;                   /* when it happened, in seconds since 1970 */
	const char *action;             /* done to the guest: "leave", "resume", "reset" */
	const char *const *notes;       /* what is missing, and why; ends with NULL, may be NULL */
};

struct crash_store;                     /* of one template                      */
struct crash;                           /* one that is being written            */

/* Nothing is created. */
bool crash_store_open(const char *template, struct failure *why, struct crash_store **ret);
void crash_store_close(struct crash_store *s);
/* Where it begins: "/var/crash/guestdump" */
const char *crash_store_root(const struct crash_store *s);

/* --- writing a crash --- */

/* Create NAME.incomplete with a first meta.json, and lock it. Missing directories are created, for
 * this user alone. @limits may be NULL: no series is known then.
 */
bool crash_begin(const struct crash_store *s, const struct crash_facts *facts, const struct crash_limits *limits,
		 struct failure *why, struct crash **ret);
/* Where files are to be written now, and where they will be. A file that is not whole is to have a
 * name that ends in ".incomplete", as gdump_write() does it.
 */
const char *crash_path(const struct crash *c);
const char *crash_final_path(const struct crash *c);
/* What "guestdump crashes" calls it */
const char *crash_id(const struct crash *c);
/* Whether it is the first of its series */
bool crash_is_first(const struct crash *c);
/* A descriptor of the directory, which is locked and closed on exec */
int crash_fd(const struct crash *c);
/* Write a small file: it has this name when it is whole. */
bool crash_write_file(struct crash *c, const char *name, const void *data, size_t len, struct failure *why);
/* Write meta.json with the size and SHA-256 of each file, which reads all of them, sync all to the
 * disk, and give the directory its final name: NAME, or NAME.partial if one of its files is
 * incomplete. @facts may have more than at the beginning. *@path, which is to be freed, is where it
 * is then. @c is released, also after an error, which leaves the directory to crash_recover().
 */
bool crash_finish(struct crash *c, const struct crash_facts *facts, struct failure *why, char **path);
/* Remove it. @c is released. */
void crash_abandon(struct crash *c);
/* Another process finishes it: only release @c. */
void crash_release(struct crash *c);

/* What crash_recover() did with a crash whose process was killed */
struct crash_recovered {
	const char *path;               /* NAME.incomplete                      */
	const char *kept;               /* NAME.partial; NULL: it was removed, as nothing in it was whole */
	uint64_t bytes;                 /* that were freed                      */
	const char *problem;            /* why nothing could be done; NULL: it was done */
};

typedef void crash_recovered_fn(void *arg, const struct crash_recovered *r);

/* Call it when the watcher starts: bring in order what killed processes left. */
bool crash_recover(const struct crash_store *s, crash_recovered_fn *fn, void *arg, struct failure *why);

/* --- what is there --- */

enum crash_state { CRASH_WHOLE, CRASH_IS_PARTIAL, CRASH_WRITING, CRASH_LEFT /* by a killed process */ };

const char *crash_state_name(enum crash_state state);

struct crash_entry {
	char *path;
	char id[17];                    /* of the path without suffix; any unique beginning will do */
	enum crash_state state;
	json_t *meta;                   /* see guestdump-json(5)                */
	const char *guest, *reason;     /* in @meta; never NULL                 */
	int64_t time;
	bool first;                     /* of its series                        */
	bool has_dump;                  /* not only a report                    */
	uint64_t bytes;                 /* on the disk                          */
	uint64_t reserved;              /* that it will have, if it is being written */
	bool doomed;                    /* for crash_make_room()                */
	const struct crash_store *store;
};

/* In the order of their time */
struct crash_list {
	struct crash_entry *entries;
	size_t num;
	bool cut;                       /* there are more: the walk is bounded  */
};

/* Add the crashes of @s to @list, which is zeroed or has some of another store. A root that does not
 * exist has none. The list is valid as long as its stores are.
 */
bool crash_list_add(struct crash_list *list, const struct crash_store *s, struct failure *why);
void crash_list_deinit(struct crash_list *list);
/* Open a file of @e for reading; NULL: there is none. */
FILE *crash_open_file(const struct crash_entry *e, const char *name);
/* Remove @e, unless it is being written or has something in it that is not a file. */
bool crash_remove(const struct crash_entry *e, struct failure *why);

/* --- limits --- */

struct crash_room {
	bool fits;                      /* @need bytes may be written now       */
	uint64_t available;             /* how many may be, once all that may be removed is */
	const char *limit;              /* if it does not fit: "MaxUse", "KeepFree", "MaxPerGuest" */
	size_t num_removed;
	uint64_t bytes_removed;
};

typedef void crash_removed_fn(void *arg, const struct crash_entry *e);

/* Make room for a dump of @need bytes in @c, and reserve them until @c is finished: other processes see that.
 * First what is older than MaxAge is removed. Then, if that is not enough and if removing will be,
 * repetitions go, the oldest first, and then the first crashes of series that have ended, the oldest
 * first. The first and the latest crash of a series that may continue are never removed, nor is what is
 * being written. @fn may be NULL.
 */
bool crash_make_room(const struct crash *c, const struct crash_limits *limits, uint64_t need, int64_t now,
		     crash_removed_fn *fn, void *arg, struct failure *why, struct crash_room *ret);
/* The same for a report, before it is written. A report is small, and that of the first crash of a series is
 * always due; for a repetition that does not fit, it fails with FAILURE_NO_SPACE.
 */
bool crash_make_room_for_report(const struct crash *c, const struct crash_limits *limits, int64_t now,
				crash_removed_fn *fn, void *arg, struct failure *why);
/* The limits of @guest */
typedef struct crash_limits crash_limits_fn(const void *arg, const char *guest);
/* Remove what is older than MaxAge of its guest: call it once in a while. */
bool crash_expire(const struct crash_store *s, crash_limits_fn *limits_of, const void *limits_arg,
		  int64_t now, crash_removed_fn *fn, void *arg, struct failure *why);
/* Whether @guest has had all the dumps that Throttle allows; then only a report is due. Dumps that
 * are being written count, and so do those that have been removed since.
 */
bool crash_is_throttled(const struct crash_store *s, const char *guest, const struct crash_limits *limits,
			int64_t now);
