/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * libvirt_api.c - the few functions of libvirt that we use, and domains
 *
 * Facts: libvirt's headers libvirt-domain.h, libvirt-qemu.h and virterror.h.  All of these
 * functions are there since libvirt 1.2.3.
 */
#include "libvirt_api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum {
	FORMAT_RAW = 0, DUMP_MEMORY_ONLY = 16, MEMORY_PHYSICAL = 2,
	EVENT_LIFECYCLE = 0, LIFECYCLE_STOPPED = 5,
	KEEPALIVE_S = 5, KEEPALIVE_NUM = 5,
};

typedef void free_fn(void *arg);
typedef void monitor_event_fn(void *conn, void *dom, const char *event, long long seconds,
			      unsigned int us, const char *details, void *arg);
typedef int lifecycle_fn(void *conn, void *dom, int event, int detail, void *arg);
typedef void close_fn(void *conn, int reason, void *arg);

static struct libvirt_api {
	void *(*connect)(const char *uri);
	int (*disconnect)(void *conn);
	int (*version)(void *conn, unsigned long *ret);
	void *(*by_name)(void *conn, const char *name);
	void *(*by_uuid)(void *conn, const char *uuid);
	int (*free)(void *dom);
	int (*state)(void *dom, int *state, int *reason, unsigned int flags);
	int (*resume)(void *dom);
	int (*dump)(void *dom, const char *to, unsigned int format, unsigned int flags);
	int (*peek)(void *dom, unsigned long long start, size_t size, void *buf, unsigned int flags);
	const char *(*message)(void);
	void (*set_error_fn)(void *arg, void (*fn)(void *arg, void *error));
	int (*reset)(void *dom, unsigned int flags);
	int (*use_events)(void);
	int (*run_events)(void);
	int (*keep_alive)(void *conn, int interval, unsigned int count);
	int (*on_close)(void *conn, close_fn *fn, void *arg, free_fn *release);
	int (*off_close)(void *conn, close_fn *fn);
	int (*on_event)(void *conn, void *dom, int event, lifecycle_fn *fn, void *arg, free_fn *release);
	int (*off_event)(void *conn, int id);
	int (*on_monitor)(void *conn, void *dom, const char *event, monitor_event_fn *fn, void *arg,
			  free_fn *release, unsigned int flags);
	int (*off_monitor)(void *conn, int id);
	int (*qmp)(void *dom, const char *line, char **answer, unsigned int flags);
} api;

static const struct {
	const char *library, *name;
	size_t offset;
} calls[] = {
	{ "libvirt.so.0", "virConnectOpen", offsetof(struct libvirt_api, connect) },
	{ "libvirt.so.0", "virConnectClose", offsetof(struct libvirt_api, disconnect) },
	{ "libvirt.so.0", "virConnectGetLibVersion", offsetof(struct libvirt_api, version) },
	{ "libvirt.so.0", "virDomainLookupByName", offsetof(struct libvirt_api, by_name) },
	{ "libvirt.so.0", "virDomainLookupByUUIDString", offsetof(struct libvirt_api, by_uuid) },
	{ "libvirt.so.0", "virDomainFree", offsetof(struct libvirt_api, free) },
	{ "libvirt.so.0", "virDomainGetState", offsetof(struct libvirt_api, state) },
	{ "libvirt.so.0", "virDomainResume", offsetof(struct libvirt_api, resume) },
	{ "libvirt.so.0", "virDomainCoreDumpWithFormat", offsetof(struct libvirt_api, dump) },
	{ "libvirt.so.0", "virDomainMemoryPeek", offsetof(struct libvirt_api, peek) },
	{ "libvirt.so.0", "virGetLastErrorMessage", offsetof(struct libvirt_api, message) },
	{ "libvirt.so.0", "virSetErrorFunc", offsetof(struct libvirt_api, set_error_fn) },
	{ "libvirt.so.0", "virDomainReset", offsetof(struct libvirt_api, reset) },
	{ "libvirt.so.0", "virEventRegisterDefaultImpl", offsetof(struct libvirt_api, use_events) },
	{ "libvirt.so.0", "virEventRunDefaultImpl", offsetof(struct libvirt_api, run_events) },
	{ "libvirt.so.0", "virConnectSetKeepAlive", offsetof(struct libvirt_api, keep_alive) },
	{ "libvirt.so.0", "virConnectRegisterCloseCallback", offsetof(struct libvirt_api, on_close) },
	{ "libvirt.so.0", "virConnectUnregisterCloseCallback", offsetof(struct libvirt_api, off_close) },
	{ "libvirt.so.0", "virConnectDomainEventRegisterAny", offsetof(struct libvirt_api, on_event) },
	{ "libvirt.so.0", "virConnectDomainEventDeregisterAny", offsetof(struct libvirt_api, off_event) },
	{ "libvirt-qemu.so.0", "virConnectDomainQemuMonitorEventRegister", offsetof(struct libvirt_api, on_monitor) },
	{ "libvirt-qemu.so.0", "virConnectDomainQemuMonitorEventDeregister", offsetof(struct libvirt_api, off_monitor) },
	{ "libvirt-qemu.so.0", "virDomainQemuMonitorCommand", offsetof(struct libvirt_api, qmp) },
};

static const char *api_missing;         /* what could not be loaded; NULL: all is there */

/* libvirt prints its errors by itself unless it has such a function. */
static void api_be_silent(void *arg, void *error)
{
	(void)arg, (void)error;
}

#ifdef STATIC_PROGRAM

static void api_load(void)
{
	api_missing = "libvirt (this guestdump is linked statically; use one that is not)";
	(void)calls;
	(void)api_be_silent;
}

#else

static void api_load(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		/* stays loaded; a second time it is the same */
		void *library = dlopen(calls[i].library, RTLD_NOW | RTLD_GLOBAL);
		void *call = library ? dlsym(library, calls[i].name) : NULL;

		if (!call) {
			api_missing = library ? calls[i].name : calls[i].library;
			return;
		}
		memcpy((char *)&api + calls[i].offset, &call, sizeof(call));
	}
	api.set_error_fn(NULL, api_be_silent);
}

#endif

struct gdump_error *libvirt_loaded(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, api_load);
	if (!api_missing)
		return NULL;
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "%s cannot be loaded: install libvirt's client library (Debian: libvirt0, Fedora: libvirt-libs)",
			 api_missing);
}

/* What libvirt says of the call that has just failed on this thread */
static struct gdump_error *api_error(const char *what)
{
	return error_new(GDUMP_ERR_REMOTE, "%s: %s", what, api.message());
}

/* --- events --- */

static pthread_once_t events_once = PTHREAD_ONCE_INIT;
static bool events_work;

static void *events_run(void *arg)
{
	while (!api.run_events())
		;
	return arg;
}

static void events_start(void)
{
	sigset_t all, before;
	pthread_t thread;

	if (api.use_events())
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	events_work = !pthread_create(&thread, NULL, events_run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (events_work)
		pthread_detach(thread);
}

struct gdump_error *libvirt_start_events(void)
{
	struct gdump_error *err = libvirt_loaded();

	if (err)
		return err;
	pthread_once(&events_once, events_start);
	return events_work ? NULL : error_new(GDUMP_ERR_OS, "cannot start a thread for libvirt's events");
}

/* Shared by libvirt's callbacks and the domain; the last one frees it. */
struct domain_listener {
	atomic_uint users;
	domain_event_fn *fn;
	void (*release)(void *arg);
	void *arg;
	int lifecycle, monitor;         /* numbers of callbacks; negative: none */
	bool on_close;
};

static void listener_put(void *arg)
{
	struct domain_listener *l = arg;

	if (atomic_fetch_sub(&l->users, 1) > 1)
		return;
	l->release(l->arg);
	free(l);
}

static void listener_monitor(void *conn, void *dom, const char *event, long long seconds,
			     unsigned int us, const char *details, void *arg)
{
	struct domain_listener *l = arg;

	(void)conn, (void)dom, (void)seconds, (void)us;
	l->fn(l->arg, event, details);
}

static int listener_lifecycle(void *conn, void *dom, int event, int detail, void *arg)
{
	struct domain_listener *l = arg;

	(void)conn, (void)dom, (void)detail;
	if (event == LIFECYCLE_STOPPED)
		l->fn(l->arg, NULL, NULL);
	return 0;
}

static void listener_closed(void *conn, int reason, void *arg)
{
	struct domain_listener *l = arg;

	(void)conn, (void)reason;
	l->fn(l->arg, NULL, NULL);
}

static void listener_close(struct domain *d)
{
	struct domain_listener *l = d->listener;

	if (l->monitor >= 0)
		api.off_monitor(d->conn, l->monitor);
	if (l->lifecycle >= 0)
		api.off_event(d->conn, l->lifecycle);
	if (l->on_close)
		api.off_close(d->conn, listener_closed);
	d->listener = NULL;
	listener_put(l);
}

struct gdump_error *domain_listen(struct domain *d, domain_event_fn *fn, void (*release)(void *arg),
				  void *arg)
{
	struct domain_listener *l = calloc(1, sizeof(*l));

	if (!l)
		return error_nomem();
	/* one for each callback, which libvirt gives back, and one for the domain */
	*l = (struct domain_listener){ .users = 4, .fn = fn, .release = release, .arg = arg };
	api.keep_alive(d->conn, KEEPALIVE_S, KEEPALIVE_NUM);
	l->on_close = !api.on_close(d->conn, listener_closed, l, listener_put);
	l->lifecycle = api.on_event(d->conn, d->dom, EVENT_LIFECYCLE, listener_lifecycle, l, listener_put);
	l->monitor = api.on_monitor(d->conn, d->dom, NULL, listener_monitor, l, listener_put, 0);
	d->listener = l;
	/* those of callbacks that there are not */
	for (int missing = !l->on_close + (l->lifecycle < 0) + (l->monitor < 0); missing > 0; missing--)
		listener_put(l);
	return NULL;
}

/* --- domains --- */

struct gdump_error *domain_connect(const char *uri, const char *name, struct domain *ret)
{
	struct gdump_error *err = libvirt_loaded();
	struct domain d = { 0 };

	if (err)
		return err;
	d.conn = api.connect(uri);
	if (!d.conn)
		return error_prefix(api_error("cannot connect to libvirt"), "%s", uri);
	d.dom = api.by_name(d.conn, name);
	if (!d.dom)
		err = api_error("libvirt has no such guest");
	if (!d.dom && strlen(name) == 36)
		d.dom = api.by_uuid(d.conn, name);
	if (d.dom && api.version(d.conn, &d.version))
		d.version = 0;
	if (!d.dom) {
		domain_close(&d);
		return err;
	}
	gdump_error_destroy(err);
	*ret = d;
	return NULL;
}

void domain_close(struct domain *d)
{
	if (d->listener)
		listener_close(d);
	if (d->dom)
		api.free(d->dom);
	if (d->conn)
		api.disconnect(d->conn);
	*d = (struct domain){ 0 };
}

struct gdump_error *domain_state(const struct domain *d, int *ret)
{
	int reason;

	if (!api.state(d->dom, ret, &reason, 0))
		return NULL;
	return api_error("cannot ask libvirt for the state of the guest");
}

struct gdump_error *domain_resume(const struct domain *d)
{
	return api.resume(d->dom) ? api_error("libvirt cannot resume the guest") : NULL;
}

struct gdump_error *domain_reset(const struct domain *d)
{
	return api.reset(d->dom, 0) ? api_error("libvirt cannot reset the guest") : NULL;
}

struct gdump_error *domain_dump(const struct domain *d, const char *path)
{
	if (!api.dump(d->dom, path, FORMAT_RAW, DUMP_MEMORY_ONLY))
		return NULL;
	return api_error("libvirt cannot dump the guest");
}

struct gdump_error *domain_qmp(const struct domain *d, const char *line, char **answer)
{
	*answer = NULL;
	if (api.qmp(d->dom, line, answer, 0) || !*answer)
		return api_error("libvirt does not pass a command to QEMU");
	return NULL;
}

struct gdump_error *domain_peek(const struct domain *d, uint64_t paddr, void *buf, size_t len)
{
	if (!api.peek(d->dom, paddr, len, buf, MEMORY_PHYSICAL))
		return NULL;
	return api_error("libvirt cannot read the memory");
}
