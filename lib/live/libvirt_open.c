/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * libvirt_open.c - connecting to libvirt, for a limited time
 *
 * libvirt's calls have no time-out: a daemon that is stopped or stuck still accepts connections, and
 * then never answers.  So a thread connects.  If that takes too long, it remains, owns what it works
 * on, and closes the connection if there ever is one.
 */
#include "libvirt_open.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEFAULT_MS = 30000 };

/* Shared by the thread and who waits for it; the last one frees it. */
struct opening {
	char *uri, *name;
	struct domain domain;
	struct gdump_error *err;
	pthread_mutex_t lock;
	pthread_cond_t change;
	bool done, given_up;            /* protected by the lock                */
};

static void opening_free(struct opening *o)
{
	domain_close(&o->domain);
	gdump_error_destroy(o->err);
	pthread_cond_destroy(&o->change);
	pthread_mutex_destroy(&o->lock);
	free(o->uri);
	free(o->name);
	free(o);
}

static struct opening *opening_create(const char *uri, const char *name)
{
	struct opening *o = calloc(1, sizeof(*o));
	pthread_condattr_t attr;

	if (!o)
		return NULL;
	pthread_mutex_init(&o->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&o->change, &attr);
	pthread_condattr_destroy(&attr);
	o->uri = strdup(uri);
	o->name = strdup(name);
	if (o->uri && o->name)
		return o;
	opening_free(o);
	return NULL;
}

static void *opening_run(void *arg)
{
	struct opening *o = arg;
	struct domain d = { 0 };
	struct gdump_error *err = domain_connect(o->uri, o->name, &d);
	bool given_up;

	pthread_mutex_lock(&o->lock);
	o->domain = d;
	o->err = err;
	o->done = true;
	given_up = o->given_up;
	pthread_cond_signal(&o->change);
	pthread_mutex_unlock(&o->lock);
	if (given_up)
		opening_free(o);
	return NULL;
}

static int opening_start(struct opening *o)
{
	sigset_t all, before;
	pthread_t thread;
	int errnum;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errnum = pthread_create(&thread, NULL, opening_run, o);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!errnum)
		pthread_detach(thread);
	return errnum;
}

/* False: it takes too long, and the thread has @o. */
static bool opening_await(struct opening *o, unsigned int timeout_ms)
{
	struct timespec end;
	bool done;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += timeout_ms % 1000 * 1000000L;
	end.tv_sec += timeout_ms / 1000 + end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	pthread_mutex_lock(&o->lock);
	while (!o->done && pthread_cond_timedwait(&o->change, &o->lock, &end) != ETIMEDOUT)
		;
	done = o->done;
	o->given_up = !done;
	pthread_mutex_unlock(&o->lock);
	return done;
}

struct gdump_error *domain_open(const char *uri, const char *name, unsigned int timeout_ms,
				struct domain *ret)
{
	/* not on the thread: what is missing is known at once */
	struct gdump_error *err = libvirt_loaded();
	struct opening *o = err ? NULL : opening_create(uri, name);
	int errnum;

	if (!o)
		return err ? err : error_nomem();
	errnum = opening_start(o);
	if (errnum) {
		opening_free(o);
		return error_os(errnum, "cannot start a thread");
	}
	timeout_ms = timeout_ms ? timeout_ms : DEFAULT_MS;
	if (!opening_await(o, timeout_ms))
		return error_new(GDUMP_ERR_REMOTE,
				 "%s: libvirt does not answer within %.1f s; is its daemon stopped or stuck?",
				 uri, timeout_ms / 1000.0);
	err = o->err;
	o->err = NULL;
	if (!err) {
		*ret = o->domain;
		o->domain = (struct domain){ 0 };
	}
	opening_free(o);
	return err;
}
