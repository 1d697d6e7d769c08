/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * crash_room.c - limits: what is removed to make room, and when no dump is due
 *
 * The decision is made on a list of crashes and the numbers of a disk, and nothing is removed unless
 * that will be enough: a crash that does not fit anyway must not cost another one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "crash_dir.h"

enum { REPORT_SIZE = 1 << 20 };         /* with the log, it hardly ever has more */

static uint64_t sub(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t limit_bytes(const struct space_limit *l, uint64_t total)
{
	return l->percent ? total / 100 * l->percent : l->bytes;
}

static bool is_of(const struct crash_entry *e, const char *guest)
{
	return !strcmp(e->guest, guest);
}

/* Whether the series that the @i-th crash is the first or the latest of may continue: the first shows the
 * cause, and the latest says that there is a series, and which dumps there were.
 */
static bool series_lasts(const struct crash_list *list, size_t i, const struct crash_limits *limits, int64_t now)
{
	const struct crash_entry *e = &list->entries[i];
	int64_t last = e->time;

	for (size_t k = i + 1; k < list->num; k++) {
		if (!is_of(&list->entries[k], e->guest))
			continue;
		if (list->entries[k].first || !e->first)
			return false;
		last = list->entries[k].time;
	}
	return limits->throttle.seconds && last + (int64_t)limits->throttle.seconds > now;
}

static bool may_go(const struct crash_list *list, size_t i, const struct crash_limits *limits, int64_t now)
{
	const struct crash_entry *e = &list->entries[i];

	return !e->doomed && (e->state == CRASH_WHOLE || e->state == CRASH_IS_PARTIAL) &&
	       !series_lasts(list, i, limits, now);
}

static void doom_if_old(struct crash_list *list, size_t i, const struct crash_limits *limits, int64_t now)
{
	struct crash_entry *e = &list->entries[i];

	e->doomed |= limits->max_age_s && e->time + (int64_t)limits->max_age_s < now &&
		     may_go(list, i, limits, now);
}

void crash_doom_old(struct crash_list *list, crash_limits_fn *limits_of, const void *arg, int64_t now)
{
	for (size_t i = 0; i < list->num; i++) {
		const struct crash_limits limits = limits_of(arg, list->entries[i].guest);

		doom_if_old(list, i, &limits, now);
	}
}

/* The next one to go, of this guest or, with NULL, of any; NULL: there is none. */
static struct crash_entry *next_to_go(struct crash_list *list, const struct crash_limits *limits, int64_t now,
				      const char *guest)
{
	for (int first = 0; first < 2; first++) {
		for (size_t i = 0; i < list->num; i++) {
			struct crash_entry *e = &list->entries[i];

			if (e->first == first && (!guest || is_of(e, guest)) && may_go(list, i, limits, now))
				return e;
		}
	}
	return NULL;
}

/* Returns false if the guest has more crashes than it may have even then. */
static bool doom_of_guest(struct crash_list *list, const struct crash_limits *limits, int64_t now, const char *guest)
{
	unsigned int num = 0;
	struct crash_entry *e;

	for (size_t i = 0; i < list->num; i++)
		num += is_of(&list->entries[i], guest) && !list->entries[i].doomed;
	for (; limits->max_per_guest && num > limits->max_per_guest; num--) {
		e = next_to_go(list, limits, now, guest);
		if (!e)
			return false;
		e->doomed = true;
	}
	return true;
}

/* What is available, and which limit is the closest */
static uint64_t available(const struct crash_list *list, const struct crash_limits *limits,
			  const struct crash_disk *disk, const char **limit)
{
	const uint64_t max_use = limit_bytes(&limits->max_use, disk->total);
	const uint64_t keep_free = limit_bytes(&limits->keep_free, disk->total);
	uint64_t used = disk->pending, freed = 0, by_free;

	for (size_t i = 0; i < list->num; i++) {
		if (list->entries[i].doomed)
			freed += list->entries[i].bytes;
		else
			used += list->entries[i].bytes;
	}
	by_free = sub(disk->free + freed, disk->pending + keep_free);
	*limit = "KeepFree";
	if (!max_use || sub(max_use, used) >= by_free)
		return by_free;
	*limit = "MaxUse";
	return sub(max_use, used);
}

void crash_room_plan(struct crash_list *list, const struct crash_limits *limits, const struct crash_disk *disk,
		     const char *guest, uint64_t need, int64_t now, struct crash_room *ret)
{
	struct crash_entry *e, **chosen = calloc(list->num + 1, sizeof(*chosen));
	size_t num = 0;

	*ret = (struct crash_room){ .fits = false };
	/* what is too old of others is their watcher's business: it knows their MaxAge */
	for (size_t i = 0; i < list->num; i++) {
		if (is_of(&list->entries[i], guest))
			doom_if_old(list, i, limits, now);
	}
	if (!doom_of_guest(list, limits, now, guest)) {
		ret->limit = "MaxPerGuest";
		free(chosen);
		return;
	}
	while ((ret->available = available(list, limits, disk, &ret->limit)) < need && chosen &&
	       (e = next_to_go(list, limits, now, NULL))) {
		e->doomed = true;
		chosen[num++] = e;
	}
	ret->fits = ret->available >= need;
	while (!ret->fits && num)
		chosen[--num]->doomed = false;
	if (ret->fits)
		ret->limit = NULL;
	free(chosen);
}

/* --- on the disk --- */

static const struct crash_entry *entry_of(const struct crash_list *list, const struct crash *c)
{
	for (size_t i = 0; i < list->num; i++) {
		if (!strcmp(list->entries[i].path, c->path))
			return &list->entries[i];
	}
	return NULL;
}

static bool disk_read(const struct crash_store *s, const struct crash_list *list, const struct crash_entry *own,
		      struct crash_disk *ret, struct failure *why)
{
	struct statvfs st;

	if (statvfs(s->root, &st))
		return crash_failed(why, s->root, "find out how much space is free");
	*ret = (struct crash_disk){ .total = (uint64_t)st.f_blocks * st.f_frsize, .free = (uint64_t)st.f_bavail * st.f_frsize };
	for (size_t i = 0; i < list->num; i++) {
		if (&list->entries[i] != own)
			ret->pending += sub(list->entries[i].reserved, list->entries[i].bytes);
	}
	return true;
}

/* Remove what is doomed. Returns false if something cannot be removed. */
static bool remove_doomed(const struct crash_list *list, crash_removed_fn *fn, void *arg, struct failure *why,
			  struct crash_room *room)
{
	for (size_t i = 0; i < list->num; i++) {
		const struct crash_entry *e = &list->entries[i];

		if (!e->doomed)
			continue;
		if (!crash_remove(e, why)) {
			if (why->errnum != ENOENT)
				return false;
			failure_deinit(why);    /* somebody else did */
			continue;
		}
		room->num_removed++;
		room->bytes_removed += e->bytes;
		if (fn)
			fn(arg, e);
	}
	return true;
}

/* What is to be written */
struct room_wish {
	uint64_t need;
	bool is_dump;
	int64_t now;
};

static bool room_make(const struct crash *c, const struct crash_limits *limits, const struct room_wish *wish,
		      crash_removed_fn *fn, void *arg, struct failure *why, struct crash_list *list,
		      struct crash_room *ret)
{
	const struct crash_entry *own;
	struct crash_disk disk;
	struct crash_room room;

	if (!crash_list_add(list, c->store, why))
		return false;
	own = entry_of(list, c);
	if (!own) {
		errno = ENOENT;
		return crash_failed(why, c->path, "find this crash");
	}
	if (!disk_read(c->store, list, own, &disk, why))
		return false;
	crash_room_plan(list, limits, &disk, own->guest, wish->need, wish->now, &room);
	if (!remove_doomed(list, fn, arg, why, &room))
		return false;
	errno = room.fits ? crash_meta_reserve(c, wish->need + own->bytes, wish->is_dump) : 0;
	if (errno)
		return crash_failed(why, c->path, "reserve space for this crash");
	*ret = room;
	return true;
}

/* One process at a time decides. -1: the file system has no locks. */
static int room_lock(const struct crash_store *s)
{
	const int fd = open(s->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	while (fd >= 0 && flock(fd, LOCK_EX) && errno == EINTR)
		;
	return fd;
}

static bool room_make_locked(const struct crash *c, const struct crash_limits *limits, const struct room_wish *wish,
			     crash_removed_fn *fn, void *arg, struct failure *why, struct crash_room *ret)
{
	const int lock = room_lock(c->store);
	struct crash_list list = { 0 };
	const bool good = room_make(c, limits, wish, fn, arg, why, &list, ret);

	crash_list_deinit(&list);
	if (lock >= 0)
		close(lock);
	return good;
}

bool crash_make_room(const struct crash *c, const struct crash_limits *limits, uint64_t need, int64_t now,
		     crash_removed_fn *fn, void *arg, struct failure *why, struct crash_room *ret)
{
	return room_make_locked(c, limits, &(struct room_wish){ need, true, now }, fn, arg, why, ret);
}

bool crash_make_room_for_report(const struct crash *c, const struct crash_limits *limits, int64_t now,
				crash_removed_fn *fn, void *arg, struct failure *why)
{
	struct crash_room room = { 0 };

	if (!room_make_locked(c, limits, &(struct room_wish){ REPORT_SIZE, false, now }, fn, arg, why, &room))
		return false;
	if (room.fits || c->first)
		return true;
	*why = failure_new(FAILURE_NO_SPACE, 0, "%s: there is no room for the report of a repetition: %s is reached, "
			   "and nothing else may be removed", c->store->root, room.limit);
	return false;
}

bool crash_expire(const struct crash_store *s, crash_limits_fn *limits_of, const void *limits_arg,
		  int64_t now, crash_removed_fn *fn, void *arg, struct failure *why)
{
	const int lock = room_lock(s);
	struct crash_list list = { 0 };
	struct crash_room room = { 0 };
	bool good = crash_list_add(&list, s, why);

	if (good) {
		crash_doom_old(&list, limits_of, limits_arg, now);
		good = remove_doomed(&list, fn, arg, why, &room);
	}
	crash_list_deinit(&list);
	if (lock >= 0)
		close(lock);
	return good;
}

bool crash_is_throttled(const struct crash_store *s, const char *guest, const struct crash_limits *limits,
			int64_t now)
{
	const int64_t since = now - (int64_t)limits->throttle.seconds;
	json_t *name = crash_guest(guest), *dumps;
	struct crash_list list = { 0 };
	struct failure why;
	bool ret;

	if (limits->throttle.num && !crash_list_add(&list, s, &why))
		failure_deinit(&why);
	dumps = crash_dumps_of(&list, json_string_value(name), since);
	ret = limits->throttle.num && json_array_size(dumps) >= limits->throttle.num;
	json_decref(dumps);
	json_decref(name);
	crash_list_deinit(&list);
	return ret;
}
