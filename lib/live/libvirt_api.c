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
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum { FORMAT_RAW = 0, DUMP_MEMORY_ONLY = 16, MEMORY_PHYSICAL = 2 };

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

struct gdump_error *domain_open(const char *uri, const char *name, struct domain *ret)
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
