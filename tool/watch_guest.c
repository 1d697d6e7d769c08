/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * watch_guest.c - a guest that guestdump watch watches
 */
#include "watch_guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool.h"

enum {
	TIMEOUT_MS = 2000,              /* others wait meanwhile                */
	RETRY_MS = 1000,                /* doubled with each failure, up to     */
	RETRY_MAX_MS = 60000,
};

/* --- a guest --- */

/* Compile the patterns, which the configuration has checked. */
static bool watched_compile(struct watched *g)
{
	const struct regex_list *list = &g->policy.when_log;

	g->patterns = calloc(list->num + 1, sizeof(*g->patterns));
	for (; g->patterns && g->num_patterns < list->num; g->num_patterns++) {
		if (regcomp(&g->patterns[g->num_patterns], list->text[g->num_patterns],
			    REG_EXTENDED | REG_NOSUB))
			break;
	}
	return g->num_patterns == list->num;
}

bool watched_set_policy(struct watched *g, const struct watch_policy *policy)
{
	while (g->num_patterns)
		regfree(&g->patterns[--g->num_patterns]);
	free(g->patterns);
	g->policy = *policy;
	return watched_compile(g);
}

struct watched *watched_create(const char *name, const char *where, const struct watch_policy *policy)
{
	struct watched *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->name = strdup(name);
	g->where = strdup(where);
	g->released = -1;
	if (g->name && g->where && watched_set_policy(g, policy))
		return g;
	watched_destroy(g);
	return NULL;
}

void watched_destroy(struct watched *g)
{
	if (!g)
		return;
	watched_disconnect(g);
	while (g->num_patterns)
		regfree(&g->patterns[--g->num_patterns]);
	free(g->patterns);
	free(g->hypervisor);
	free(g->uuid);
	free(g->where);
	free(g->name);
	free(g);
}

uint64_t watched_deadline(const struct watched *g)
{
	uint64_t ret = UINT64_MAX;

	if (g->state == AWAY)
		return g->retry_ms;
	if (g->state != WATCHED)
		return ret;
	if (g->log_ms)
		ret = g->log_ms;
	if (g->crashloaded_ms && g->crashloaded_ms < ret)
		ret = g->crashloaded_ms;
	return ret;
}

/* --- the connection --- */

void watched_disconnect(struct watched *g)
{
	gdump_close(g->image);
	gdump_watch_close(g->watch);
	g->image = NULL;
	g->watch = NULL;
}

/* The connection is lost, or was not to be had. */
static void watched_lose(struct watched *g, struct gdump_error *why, uint64_t now_ms)
{
	const unsigned int doublings = g->num_failures < 6 ? g->num_failures : 6;
	const uint64_t pause = (uint64_t)RETRY_MS << doublings;

	if (!g->num_failures++)
		say("%s: not watched: %s", g->name, gdump_error_message(why));
	gdump_error_destroy(why);
	watched_disconnect(g);
	g->state = AWAY;
	g->crashloaded_ms = 0;
	g->retry_ms = now_ms + (pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS);
}

void watched_connect(struct watched *g, uint64_t now_ms)
{
	const struct gdump_open_options opt = { .size = sizeof(opt), .timeout_ms = TIMEOUT_MS,
						.cancel = canceled };
	struct gdump_error *err;

	if (g->state != AWAY || now_ms < g->retry_ms)
		return;
	err = gdump_watch_open(g->where, &opt, &g->watch);
	if (err) {
		watched_lose(g, err, now_ms);
		return;
	}
	g->num_failures = 0;
	g->state = WATCHED;
	g->log_ms = g->num_patterns && g->policy.on & WATCH_LOG ? now_ms : 0;
	say("%s: watched by %s", g->name, g->where);
	watched_listen(g, now_ms);
}

/* --- what happens --- */

static void watched_trigger(struct watched *g, enum watch_trigger trigger, const char *detail, bool found)
{
	/* the state that we left it in, after the dump of what led to it */
	if (found && g->time && g->trigger == trigger)
		return;
	if (g->state == WAITING || !(g->policy.on & trigger))
		return;
	g->trigger = trigger;
	snprintf(g->detail, sizeof(g->detail), "%s", detail);
	g->time = time(NULL);
	g->found = found;
	g->crashloaded_ms = 0;
	g->state = WAITING;
	say("%s: %s%s%s", g->name, watch_trigger_name(trigger), *detail ? ": " : "", detail);
}

static const enum watch_trigger triggers[] = {
	[GDUMP_EVENT_PANICKED] = WATCH_PANIC,
	[GDUMP_EVENT_WATCHDOG] = WATCH_WATCHDOG,
	[GDUMP_EVENT_INTERNAL_ERROR] = WATCH_INTERNAL_ERROR,
	[GDUMP_EVENT_IO_ERROR] = WATCH_IO_ERROR,
	[GDUMP_EVENT_RESET] = WATCH_RESET,
};

static void watched_take_event(struct watched *g, const struct gdump_event *e, uint64_t now_ms)
{
	if (e->type == GDUMP_EVENT_CRASHLOADED) {
		say("%s: its own crash kernel runs", g->name);
		g->crashloaded_ms = now_ms + g->policy.crashloaded_timeout_ms;
		return;
	}
	/* its crash kernel has done its work */
	if (e->type == GDUMP_EVENT_SHUTDOWN || (e->type == GDUMP_EVENT_RESET && g->crashloaded_ms)) {
		g->crashloaded_ms = 0;
		return;
	}
	if ((size_t)e->type < sizeof(triggers) / sizeof(*triggers) && triggers[e->type])
		watched_trigger(g, triggers[e->type], e->detail, e->found);
}

static bool watched_matches(const struct watched *g, const char *line)
{
	for (size_t i = 0; i < g->num_patterns; i++) {
		if (!regexec(&g->patterns[i], line, 0, NULL, 0))
			return true;
	}
	return false;
}

/* A gdump_log_fn: lines that were there before we came say nothing about now. */
static void watched_record(void *arg, const struct gdump_log_record *r)
{
	struct watched *g = arg;
	char line[1024];
	size_t len = 0;

	if (g->log_known && r->seq < g->next_record)
		return;
	g->next_record = r->seq + 1;
	if (!g->log_known || g->state != WATCHED)
		return;
	for (; len < r->len && len + 1 < sizeof(line); len++)
		line[len] = r->text[len] >= ' ' && r->text[len] <= '~' ? r->text[len] : '?';
	line[len] = '\0';
	if (watched_matches(g, line))
		watched_trigger(g, WATCH_LOG, line, false);
}

/* The newest record's number: a guest that was reset begins anew. */
static void watched_newest(void *arg, const struct gdump_log_record *r)
{
	*(uint64_t *)arg = r->seq + 1;
}

static void watched_read_log(struct watched *g, uint64_t now_ms)
{
	const struct gdump_open_options opt = { .size = sizeof(opt), .timeout_ms = TIMEOUT_MS,
						.cancel = canceled };
	struct gdump_error *err = NULL;
	uint64_t newest = 0;

	g->log_ms = now_ms + g->policy.log_interval_ms;
	if (!g->image)
		err = gdump_watch_image(g->watch, &opt, &g->image);
	if (!err)
		err = gdump_log(g->image, watched_newest, &newest);
	if (!err && newest < g->next_record)
		g->next_record = 0;
	if (!err && newest > g->next_record)
		err = gdump_log(g->image, watched_record, g);
	if (!err) {
		g->log_known = true;
		return;
	}
	/* it may be starting, and its kernel elsewhere next time */
	gdump_error_destroy(err);
	gdump_close(g->image);
	g->image = NULL;
}

void watched_listen(struct watched *g, uint64_t now_ms)
{
	struct gdump_event e = { .size = sizeof(e) };
	struct gdump_error *err = NULL;

	if (g->state == WATCHED && g->log_ms && now_ms >= g->log_ms)
		watched_read_log(g, now_ms);
	do {
		err = gdump_watch_next(g->watch, &e);
		if (!err && e.type)
			watched_take_event(g, &e, now_ms);
	} while (!err && e.type);
	if (err && g->state == WATCHED)
		watched_lose(g, err, now_ms);
	else
		gdump_error_destroy(err);
	if (g->state == WATCHED && g->crashloaded_ms && now_ms >= g->crashloaded_ms)
		watched_trigger(g, WATCH_CRASHLOADED_TIMEOUT, "its own kdump has not ended", false);
}

void watched_ask(struct watched *g)
{
	if (g->state == WATCHED)
		watched_trigger(g, WATCH_SIGNAL, "", false);
}

/* --- afterwards --- */

static void watched_act(struct watched *g)
{
	struct gdump_error *err = NULL;

	if (g->policy.after == WATCH_RESUME)
		err = gdump_watch_resume(g->watch);
	else if (g->policy.after == WATCH_RESET_GUEST)
		err = gdump_watch_reset(g->watch);
	else
		return;
	if (err)
		warn("%s", gdump_error_message(err));
	else
		say("%s: %s", g->name, g->policy.after == WATCH_RESUME ? "resumed" : "reset");
	gdump_error_destroy(err);
	/* whatever is found from now on is new */
	g->time = 0;
}

void watched_finish(struct watched *g, uint64_t now_ms)
{
	if (g->watch) {
		g->state = WATCHED;
	} else {
		g->state = AWAY;
		g->retry_ms = 0;
		g->log_known = false;
		watched_connect(g, now_ms);
	}
	if (g->state == WATCHED)
		watched_act(g);
}
