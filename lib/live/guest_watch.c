/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * guest_watch.c - the events that wait to be taken
 */
#include "guest_watch.h"

#include <stdio.h>
#include <string.h>

#include "../util/array.h"

enum { EVENTS_MAX = 100 };              /* a guest may reset itself all the time */

struct gdump_error *guest_watch_add(struct guest_watch *w, enum gdump_event_type type, bool paused,
				    const char *detail)
{
	struct gdump_event *event;

	if (w->num_events == EVENTS_MAX)
		return NULL;
	if (!ARRAY_GROW(w->events, w->num_events))
		return error_nomem();
	event = &w->events[w->num_events++];
	*event = (struct gdump_event){ .size = sizeof(*event), .type = type, .paused = paused };
	snprintf(event->detail, sizeof(event->detail), "%s", detail ? detail : "");
	return NULL;
}

struct gdump_error *guest_watch_add_found(struct guest_watch *w, enum gdump_event_type type)
{
	struct gdump_error *err = guest_watch_add(w, type, true, "found in this state");

	if (!err && w->num_events)
		w->events[w->num_events - 1].found = true;
	return err;
}

bool guest_watch_take(struct guest_watch *w, struct gdump_event *ret)
{
	if (!w->num_events)
		return false;
	*ret = w->events[0];
	memmove(w->events, w->events + 1, --w->num_events * sizeof(*w->events));
	return true;
}
