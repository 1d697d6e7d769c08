/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "event.h"

#include <stdio.h>

#include "json.h"

static struct {
	bool results, events;
	event_fn *observer;
} output;

void json_output_set(bool results, bool events)
{
	output.results = results;
	output.events = events;
}

bool results_are_json(void)
{
	return output.results;
}

bool events_are_json(void)
{
	return output.events;
}

void events_observe(event_fn *fn)
{
	output.observer = fn;
}

bool events_are_wanted(void)
{
	return output.events || output.observer;
}

void event_put(const char *type, json_t *members)
{
	if (output.observer)
		output.observer(type, members);
	if (!output.events) {
		json_decref(members);
		return;
	}
	flockfile(stderr);
	json_line(stderr, type, members);
	fflush(stderr);
	funlockfile(stderr);
}
