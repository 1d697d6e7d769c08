/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_watch.c - what happens to a guest of QEMU, by the events of its monitor
 *
 * The connection is one of the monitor's clients, so nobody else is served by that monitor
 * meanwhile.  Events arrive also while a command waits for its answer, and cannot run commands
 * themselves: what has to be asked is asked afterwards.
 */
#include "guest_watch.h"

#include "../util/cleanup.h"
#include "live.h"
#include "qemu_events.h"
#include "qmp.h"

struct qemu_watch {
	struct guest_watch watch;
	struct qmp *qmp;
	struct qemu_events events;
	struct gdump_error *err;        /* of an event that came meanwhile      */
};

static void qemu_watch_event(void *arg, const json_t *event)
{
	struct qemu_watch *q = arg;

	if (!q->err)
		q->err = qemu_events_take(&q->events, json_string_value(json_object_get(event, "event")),
					  json_object_get(event, "data"));
}

static struct gdump_error *qemu_watch_state(struct qemu_watch *q, bool at_first)
{
	CLEANUP_JSON json_t *answer = NULL;
	struct gdump_error *err = qmp_execute(q->qmp, "query-status", NULL, &answer);

	return err ? err : qemu_events_take_state(&q->events, answer, at_first);
}

static struct gdump_error *qemu_watch_listen(struct guest_watch *w)
{
	struct qemu_watch *q = (struct qemu_watch *)w;
	struct gdump_error *err = qmp_listen(q->qmp);

	if (!err && q->err)
		err = TAKE_PTR(q->err);
	return err || !q->events.stopped ? err : qemu_watch_state(q, false);
}

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
	q->events.watch = &q->watch;
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
