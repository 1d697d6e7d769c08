/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * guest_watch.h - what happens to a running guest, and what can be done about it
 *
 * Who watches a guest does not read its memory, and a guest is not paused for it.  A watch is for
 * one thread at a time.
 */
#pragma once

#include "../machine/source.h"

struct guest_watch;

struct guest_watch_ops {
	/* Take what has happened, by guest_watch_add(), without waiting.  GDUMP_ERR_REMOTE: the
	 * guest has ended, or nothing more can be heard of it.
	 */
	struct gdump_error *(*listen)(struct guest_watch *w);
	/* NULL: that cannot be done. */
	struct gdump_error *(*resume)(struct guest_watch *w);
	struct gdump_error *(*reset)(struct guest_watch *w);
	/* Open the guest's memory, for as long as @w is there; NULL: open it by its name. */
	struct gdump_error *(*open)(struct guest_watch *w, const struct gdump_open_options *opt,
				    struct source **ret);
	/* Also frees @w. */
	void (*close)(struct guest_watch *w);
};

struct guest_watch {
	const struct guest_watch_ops *ops;
	int fd;                         /* becomes readable when there is something for listen() */
	struct gdump_event *events;     /* that were not taken yet, the oldest first */
	size_t num_events;
};

/* Something has happened; @detail, if there is more to say than the type, is copied. */
MUST_CHECK struct gdump_error *guest_watch_add(struct guest_watch *w, enum gdump_event_type type,
					       bool paused, const char *detail);
/* The same for a state in which the guest is when the watch is opened */
MUST_CHECK struct gdump_error *guest_watch_add_found(struct guest_watch *w, enum gdump_event_type type);
/* The oldest event; false: there is none. */
bool guest_watch_take(struct guest_watch *w, struct gdump_event *ret);

/* guest_scheme.watch */
MUST_CHECK struct gdump_error *qemu_watch(const char *name, const struct gdump_open_options *opt,
					  struct guest_watch **ret);
MUST_CHECK struct gdump_error *libvirt_watch(const char *name, const struct gdump_open_options *opt,
					     struct guest_watch **ret);
MUST_CHECK struct gdump_error *libvirt_watch_uri(const char *where,
						 const struct gdump_open_options *opt,
						 struct guest_watch **ret);
MUST_CHECK struct gdump_error *pid_watch(const char *name, const struct gdump_open_options *opt,
					 struct guest_watch **ret);
