/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_events.c - facts: QEMU's qapi/run-state.json and qapi/block-core.json
 */
#include "qemu_events.h"

#include <stdio.h>
#include <string.h>

#include "../util/bits.h"
#include "qmp.h"

static const char *event_text(const json_t *data, const char *member)
{
	const char *text = json_string_value(json_object_get(data, member));

	return text ? text : "";
}

/* What QEMU does then, by default to power the guest off: too late for a dump */
static struct gdump_error *event_panicked(struct qemu_events *e, const json_t *data)
{
	const char *action = event_text(data, "action");

	return guest_watch_add(e->watch, GDUMP_EVENT_PANICKED, !strcmp(action, "pause"),
		       strcmp(action, "poweroff") && strcmp(action, "shutdown") ? NULL :
		       "QEMU powers the guest off; with -action panic=pause it could be dumped");
}

static struct gdump_error *event_crash_loaded(struct qemu_events *e, const json_t *data)
{
	(void)data;
	return guest_watch_add(e->watch, GDUMP_EVENT_CRASHLOADED, false, NULL);
}

static struct gdump_error *event_watchdog(struct qemu_events *e, const json_t *data)
{
	const char *action = event_text(data, "action");
	char detail[80];

	snprintf(detail, sizeof(detail), "QEMU's action is %.40s", action);
	return guest_watch_add(e->watch, GDUMP_EVENT_WATCHDOG, !strcmp(action, "pause"), detail);
}

static struct gdump_error *event_io_error(struct qemu_events *e, const json_t *data)
{
	char detail[160];

	if (strcmp(event_text(data, "action"), "stop"))
		return NULL;
	snprintf(detail, sizeof(detail), "%.40s of device %.40s: %.60s", event_text(data, "operation"),
		 event_text(data, "device"), event_text(data, "reason"));
	return guest_watch_add(e->watch, GDUMP_EVENT_IO_ERROR, true, detail);
}

/* A reset or an end that the host asked for is no surprise; older versions of QEMU say only who
 * caused it.
 */
static bool event_is_of_guest(const json_t *data)
{
	return json_is_true(json_object_get(data, "guest"));
}

static struct gdump_error *event_reset(struct qemu_events *e, const json_t *data)
{
	if (!event_is_of_guest(data))
		return NULL;
	return guest_watch_add(e->watch, GDUMP_EVENT_RESET, false, event_text(data, "reason"));
}

static struct gdump_error *event_shut_down(struct qemu_events *e, const json_t *data)
{
	if (!event_is_of_guest(data))
		return NULL;
	return guest_watch_add(e->watch, GDUMP_EVENT_SHUTDOWN, false, event_text(data, "reason"));
}

static struct gdump_error *event_stopped(struct qemu_events *e, const json_t *data)
{
	(void)data;
	e->stopped = true;
	return NULL;
}

struct gdump_error *qemu_events_take(struct qemu_events *e, const char *name, const json_t *data)
{
	static const struct {
		const char *name;
		struct gdump_error *(*take)(struct qemu_events *e, const json_t *data);
	} events[] = {
		{ "GUEST_PANICKED", event_panicked }, { "GUEST_CRASHLOADED", event_crash_loaded },
		{ "WATCHDOG", event_watchdog }, { "BLOCK_IO_ERROR", event_io_error },
		{ "RESET", event_reset }, { "SHUTDOWN", event_shut_down }, { "STOP", event_stopped },
	};

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		if (!strcmp(events[i].name, name))
			return events[i].take(e, data);
	}
	return NULL;
}

/* States of QEMU that something bad has led to */
static const struct bad_state {
	const char *name;
	enum gdump_event_type type;
	bool has_event;                 /* that says so                         */
} bad_states[] = {
	{ "guest-panicked", GDUMP_EVENT_PANICKED, true },
	{ "watchdog", GDUMP_EVENT_WATCHDOG, true },
	{ "io-error", GDUMP_EVENT_IO_ERROR, true },
	{ "internal-error", GDUMP_EVENT_INTERNAL_ERROR, false },
};

struct gdump_error *qemu_events_take_state(struct qemu_events *e, const json_t *answer, bool at_first)
{
	const char *state;
	struct gdump_error *err = qmp_get_string(answer, "query-status", "status", &state);

	e->stopped = false;
	for (size_t i = 0; !err && i < ARRAY_SIZE(bad_states); i++) {
		const struct bad_state *bad = &bad_states[i];

		if (strcmp(state, bad->name))
			continue;
		if (at_first)
			return guest_watch_add_found(e->watch, bad->type);
		return bad->has_event ? NULL : guest_watch_add(e->watch, bad->type, true, NULL);
	}
	return err;
}
