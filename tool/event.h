/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * event.h - what happens while a command runs, for programs
 *
 * Each event is a JSON object: see guestdump-json(5). With --progress json, standard error has
 * nothing else. A job records its events as well: see detach.c.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* Which JSON the command line asks for: results on standard output, events on standard error */
void json_output_set(bool results, bool events);
bool results_are_json(void);
bool events_are_json(void);

/* Receives all events; from many threads. */
typedef void event_fn(const char *type, const json_t *members);
void events_observe(event_fn *fn);

/* Whether anything listens: an event is worth to be made. */
bool events_are_wanted(void);
/* Something happened. @members is released. */
void event_put(const char *type, json_t *members);
