/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_watch.c - what happens to a guest of QEMU, by the events of its monitor
 *
 * The connection is one of the monitor's clients, so nobody else is served by that monitor
 * meanwhile.  For events and their members see QEMU's qapi/run-state.json and block-core.json.
 * Events arrive also while a command waits for its answer, and cannot run commands themselves:
 * what has to be asked is asked afterwards.
 */
#include "guest_watch.h"

#include <stdio.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "live.h"
#include "qemu_guest.h"

struct qemu_watch {
	struct guest_watch watch;
	struct qmp *qmp;
	bool stopped;                   /* QEMU has not said why yet            */
	struct gdump_error *err;        /* of an event that came meanwhile      */
};

static const char *event_text(const json_t *data, const char *member)
{
	const char *text = json_string_value(json_object_get(data, member));

	return text ? text : "";
}

static void qemu_watch_add(struct qemu_watch *q, enum gdump_event_type type, bool paused,
			   const char *detail)
{
	struct gdump_error *err = guest_watch_add(&q->watch, type, paused, detail);

	if (q->err)
		gdump_error_destroy(err);
	else
		q->err = err;
}

/* --- events --- */

/* What QEMU does then, by default to power the guest off: too late for a dump */
static void event_panicked(struct qemu_watch *q, const json_t *data)
{
	const char *action = event_text(data, "action");

	qemu_watch_add(q, GDUMP_EVENT_PANICKED, !strcmp(action, "pause"),
		       strcmp(action, "poweroff") && strcmp(action, "shutdown") ? NULL :
		       "QEMU powers the guest off; with -action panic=pause it could be dumped");
}

static void event_crash_loaded(struct qemu_watch *q, const json_t *data)
{
	(void)data;
	qemu_watch_add(q, GDUMP_EVENT_CRASHLOADED, false, NULL);
}

static void event_watchdog(struct qemu_watch *q, const json_t *data)
{
	const char *action = event_text(data, "action");
	char detail[80];

	snprintf(detail, sizeof(detail), "QEMU's action is %.40s", action);
	qemu_watch_add(q, GDUMP_EVENT_WATCHDOG, !strcmp(action, "pause"), detail);
}

static void event_io_error(struct qemu_watch *q, const json_t *data)
{
	char detail[160];

	if (strcmp(event_text(data, "action"), "stop"))
		return;
	snprintf(detail, sizeof(detail), "%.40s of device %.40s: %.60s", event_text(data, "operation"),
		 event_text(data, "device"), event_text(data, "reason"));
	qemu_watch_add(q, GDUMP_EVENT_IO_ERROR, true, detail);
}

/* A reset or an end that the host asked for is no surprise; older versions of QEMU say only who
 * caused it.
 */
static bool event_is_of_guest(const json_t *data)
{
	return json_is_true(json_object_get(data, "guest"));
}

static void event_reset(struct qemu_watch *q, const json_t *data)
{
	if (event_is_of_guest(data))
		qemu_watch_add(q, GDUMP_EVENT_RESET, false, event_text(data, "reason"));
}

static void event_shut_down(struct qemu_watch *q, const json_t *data)
{
	if (event_is_of_guest(data))
		qemu_watch_add(q, GDUMP_EVENT_SHUTDOWN, false, event_text(data, "reason"));
}

static void event_stopped(struct qemu_watch *q, const json_t *data)
{
	(void)data;
	q->stopped = true;
}

static void qemu_watch_event(void *arg, const json_t *event)
{
	static const struct {
		const char *name;
		void (*take)(struct qemu_watch *q, const json_t *data);
	} events[] = {
		{ "GUEST_PANICKED", event_panicked }, { "GUEST_CRASHLOADED", event_crash_loaded },
		{ "WATCHDOG", event_watchdog }, { "BLOCK_IO_ERROR", event_io_error }, { "RESET", event_reset },
		{ "SHUTDOWN", event_shut_down }, { "STOP", event_stopped },
	};
	const char *name = json_string_value(json_object_get(event, "event"));

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		if (!strcmp(events[i].name, name))
			events[i].take(arg, json_object_get(event, "data"));
	}
}

/* --- states --- */

/* States of QEMU that something bad has led to */
static const struct bad_state {
	const char *name;
	enum gdump_event_type type;
	bool has_event;                 /* that said so                         */
} bad_states[] = {
	{ "guest-panicked", GDUMP_EVENT_PANICKED, true },
	{ "watchdog", GDUMP_EVENT_WATCHDOG, true },
	{ "io-error", GDUMP_EVENT_IO_ERROR, true },
	{ "internal-error", GDUMP_EVENT_INTERNAL_ERROR, false },
};

/* Ask for QEMU's state; @at_first: what has led there was before our time. */
static struct gdump_error *qemu_watch_state(struct qemu_watch *q, bool at_first)
{
	CLEANUP_JSON json_t *answer = NULL;
	const char *state = "";
	struct gdump_error *err = qmp_execute(q->qmp, "query-status", NULL, &answer);

	if (!err)
		err = qmp_get_string(answer, "query-status", "status", &state);
	for (size_t i = 0; !err && i < ARRAY_SIZE(bad_states); i++) {
		const struct bad_state *bad = &bad_states[i];

		if (!strcmp(state, bad->name) && (at_first || !bad->has_event))
			err = guest_watch_add(&q->watch, bad->type, true,
					      at_first ? "found in this state" : NULL);
	}
	return err;
}

static struct gdump_error *qemu_watch_listen(struct guest_watch *w)
{
	struct qemu_watch *q = (struct qemu_watch *)w;
	struct gdump_error *err = qmp_listen(q->qmp);

	if (!err && q->err)
		err = TAKE_PTR(q->err);
	if (err || !q->stopped)
		return err;
	q->stopped = false;
	return qemu_watch_state(q, false);
}

/* --- what can be done --- */

static struct gdump_error *qemu_watch_resume(struct guest_watch *w)
{
	return qmp_execute(((struct qemu_watch *)w)->qmp, "cont", NULL, NULL);
}

static struct gdump_error *qemu_watch_reset(struct guest_watch *w)
{
	struct gdump_error *err = qmp_execute(((struct qemu_watch *)w)->qmp, "system_reset", NULL, NULL);

	return err ? err : qemu_watch_resume(w);
}

static struct gdump_error *qemu_watch_open(struct guest_watch *w, const struct gdump_open_options *opt,
					   struct source **ret)
{
	return qemu_open_watched(((struct qemu_watch *)w)->qmp, opt, ret);
}

static void qemu_watch_close(struct guest_watch *w)
{
	struct qemu_watch *q = (struct qemu_watch *)w;

	qmp_close(q->qmp);
	gdump_error_destroy(q->err);
	free(w->events);
	free(w);
}

static const struct guest_watch_ops qemu_watch_ops = {
	.listen = qemu_watch_listen,
	.resume = qemu_watch_resume,
	.reset = qemu_watch_reset,
	.open = qemu_watch_open,
	.close = qemu_watch_close,
};

struct gdump_error *qemu_watch(const char *name, const struct gdump_open_options *opt,
			       struct guest_watch **ret)
{
	struct qemu_watch *q = calloc(1, sizeof(*q));
	struct gdump_error *err;

	if (!q)
		return error_nomem();
	q->watch.ops = &qemu_watch_ops;
	err = qemu_connect(name, opt, &q->qmp);
	if (!err) {
		q->watch.fd = qmp_fd(q->qmp);
		qmp_set_event_fn(q->qmp, qemu_watch_event, q);
		err = qemu_watch_state(q, true);
	}
	if (err) {
		qemu_watch_close(&q->watch);
		return err;
	}
	*ret = &q->watch;
	return NULL;
}
