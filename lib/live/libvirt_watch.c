/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * libvirt_watch.c - what happens to a guest of libvirt
 *
 * libvirt passes on the events of QEMU's monitor, on a thread of its own; they wait in a queue until
 * the watch is listened to.  Others can use the guest meanwhile.
 */
#include "guest_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../util/array.h"
#include "../util/cleanup.h"
#include "libvirt_open.h"
#include "live.h"
#include "qemu_events.h"
#include "qmp.h"

enum { RAW_EVENTS_MAX = 1000 };

struct raw_event {
	char name[40];                  /* "": the guest has ended              */
	char *data;
};

/* What the thread of libvirt and the watch share; the thread may have it for longer. */
struct raw_queue {
	pthread_mutex_t lock;
	struct raw_event *events;
	size_t num;
	int fd;                         /* an eventfd                           */
};

struct libvirt_watch {
	struct guest_watch watch;
	struct domain domain;
	struct raw_queue *queue;        /* NULL: not listening yet              */
	struct qemu_events events;
	bool ended;
};

static struct raw_queue *queue_create(void)
{
	struct raw_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	pthread_mutex_init(&q->lock, NULL);
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return q;
}

static void queue_destroy(void *arg)
{
	struct raw_queue *q = arg;

	while (q->num)
		free(q->events[--q->num].data);
	free(q->events);
	if (q->fd >= 0)
		close(q->fd);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

/* A domain_event_fn */
static void queue_put(void *arg, const char *name, const char *data)
{
	struct raw_queue *q = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&q->lock);
	if (q->num < RAW_EVENTS_MAX && ARRAY_GROW(q->events, q->num)) {
		struct raw_event *e = &q->events[q->num++];

		snprintf(e->name, sizeof(e->name), "%s", name ? name : "");
		e->data = data ? strdup(data) : NULL;
	}
	pthread_mutex_unlock(&q->lock);
	/* it can be full only if it was signaled before */
	if (write(q->fd, &one, sizeof(one)) != sizeof(one))
		return;
}

/* All that waits, for free() */
static struct raw_event *queue_take(struct raw_queue *q, size_t *num)
{
	struct raw_event *ret;
	uint64_t count;

	/* nothing has come: then there is nothing to take */
	if (read(q->fd, &count, sizeof(count)) != sizeof(count))
		count = 0;
	pthread_mutex_lock(&q->lock);
	ret = q->events;
	*num = q->num;
	q->events = NULL;
	q->num = 0;
	pthread_mutex_unlock(&q->lock);
	return ret;
}

static struct gdump_error *libvirt_watch_take(struct libvirt_watch *l, const struct raw_event *e)
{
	CLEANUP_JSON json_t *data = e->data ? json_loads(e->data, 0, NULL) : NULL;

	l->ended |= !*e->name;
	return qemu_events_take(&l->events, e->name, data);
}

static struct gdump_error *libvirt_watch_state(struct libvirt_watch *l, bool at_first)
{
	CLEANUP_FREE char *text = NULL;
	CLEANUP_JSON json_t *answer = NULL;
	struct gdump_error *err = domain_qmp(&l->domain, "{\"execute\": \"query-status\"}", &text);

	if (err)
		return err;
	answer = json_loads(text, 0, NULL);
	return qemu_events_take_state(&l->events, json_object_get(answer, "return"), at_first);
}

static struct gdump_error *libvirt_watch_listen(struct guest_watch *w)
{
	struct libvirt_watch *l = (struct libvirt_watch *)w;
	struct gdump_error *err = NULL;
	struct raw_event *raw;
	size_t num;

	raw = queue_take(l->queue, &num);
	for (size_t i = 0; i < num; i++) {
		if (!err)
			err = libvirt_watch_take(l, &raw[i]);
		free(raw[i].data);
	}
	free(raw);
	if (!err && l->ended)
		err = error_new(GDUMP_ERR_REMOTE, "the guest has ended, or libvirt has");
	return err || !l->events.stopped ? err : libvirt_watch_state(l, false);
}

static struct gdump_error *libvirt_watch_resume(struct guest_watch *w)
{
	return domain_resume(&((struct libvirt_watch *)w)->domain);
}

static struct gdump_error *libvirt_watch_reset(struct guest_watch *w)
{
	struct gdump_error *err = domain_reset(&((struct libvirt_watch *)w)->domain);
	int state;

	if (!err)
		err = domain_state(&((struct libvirt_watch *)w)->domain, &state);
	return err || state == DOMAIN_RUNNING ? err : libvirt_watch_resume(w);
}

static void libvirt_watch_close(struct guest_watch *w)
{
	domain_close(&((struct libvirt_watch *)w)->domain);
	free(w->events);
	free(w);
}

static const struct guest_watch_ops libvirt_watch_ops = {
	.listen = libvirt_watch_listen,
	.resume = libvirt_watch_resume,
	.reset = libvirt_watch_reset,
	.close = libvirt_watch_close,
};

static struct gdump_error *libvirt_watch_begin(struct libvirt_watch *l, const char *uri, const char *name)
{
	struct gdump_error *err = libvirt_start_events();

	if (!err)
		err = domain_open(uri, name, 0, &l->domain);
	if (err)
		return err;
	l->queue = queue_create();
	if (!l->queue)
		return error_nomem();
	l->watch.fd = l->queue->fd;
	if (l->watch.fd < 0)
		err = error_os(errno, "cannot create an event descriptor");
	if (!err)
		err = domain_listen(&l->domain, queue_put, queue_destroy, l->queue);
	if (err) {
		queue_destroy(l->queue);
		return err;
	}
	return libvirt_watch_state(l, true);
}

static struct gdump_error *libvirt_watch_at(const char *uri, const char *name, struct guest_watch **ret)
{
	struct libvirt_watch *l = calloc(1, sizeof(*l));
	struct gdump_error *err;

	if (!l)
		return error_nomem();
	l->watch.ops = &libvirt_watch_ops;
	l->events.watch = &l->watch;
	err = libvirt_watch_begin(l, uri, name);
	if (err) {
		libvirt_watch_close(&l->watch);
		return err;
	}
	*ret = &l->watch;
	return NULL;
}

struct gdump_error *libvirt_watch(const char *name, const struct gdump_open_options *opt,
				  struct guest_watch **ret)
{
	(void)opt;
	return libvirt_watch_at("qemu:///system", name, ret);
}

struct gdump_error *libvirt_watch_uri(const char *where, const struct gdump_open_options *opt,
				      struct guest_watch **ret)
{
	CLEANUP_FREE char *uri = NULL;
	const char *name;
	struct gdump_error *err = libvirt_split_name(where, &uri, &name);

	(void)opt;
	return err ? err : libvirt_watch_at(uri, name, ret);
}
