/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * libvirt_api.h - the few functions of libvirt that we use, and domains
 *
 * libvirt is loaded when it is asked for: nothing here needs it at build time or depends on its
 * package.  Every call may wait for the daemon.  A connection is for one thread at a time: with two
 * threads on one, the client library of libvirt 9.0 waits for ever.
 */
#pragma once

#include <stdbool.h>

#include "../error.h"

/* How libvirt numbers the states of a domain (enum virDomainState) */
enum { DOMAIN_RUNNING = 1, DOMAIN_PAUSED = 3, DOMAIN_CRASHED = 6 };

/* A domain over a connection of its own; all zero: none */
struct domain {
	void *conn, *dom;
	struct domain_listener *listener;       /* NULL: none               */
	unsigned long version;          /* of the daemon: 1000000 * major + 1000 * minor + micro */
};

/* NULL, or why libvirt's library cannot be used, and what to install */
MUST_CHECK struct gdump_error *libvirt_loaded(void);
/* Connect to @uri and find the domain @name, which may be its UUID.  This may take for ever: see
 * libvirt_open.h.
 */
MUST_CHECK struct gdump_error *domain_connect(const char *uri, const char *name, struct domain *ret);
void domain_close(struct domain *d);

/* One of DOMAIN_RUNNING and so on */
MUST_CHECK struct gdump_error *domain_state(const struct domain *d, int *ret);
MUST_CHECK struct gdump_error *domain_resume(const struct domain *d);
/* Let libvirt write a memory-only dump (ELF) to @path, and wait for its end. */
MUST_CHECK struct gdump_error *domain_dump(const struct domain *d, const char *path);
/* Send a line of QMP to QEMU; @answer is for free(). */
MUST_CHECK struct gdump_error *domain_qmp(const struct domain *d, const char *line, char **answer);
MUST_CHECK struct gdump_error *domain_reset(const struct domain *d);
/* Read guest-physical memory, at most DOMAIN_PEEK_MAX bytes. */
enum { DOMAIN_PEEK_MAX = 1 << 20 };
MUST_CHECK struct gdump_error *domain_peek(const struct domain *d, uint64_t paddr, void *buf,
					   size_t len);

/* --- events --- */

/* Call it before domain_open(): from now on a thread of this process, which remains, receives the
 * events of all connections.
 */
MUST_CHECK struct gdump_error *libvirt_start_events(void);
/* Something happened to the guest, as QEMU's monitor says: an event and its members as JSON, which
 * may be NULL.  @name NULL: the guest has ended, or libvirt has.  On that thread; it must not call
 * libvirt.
 */
typedef void domain_event_fn(void *arg, const char *name, const char *data);
/* Call @fn for each event until domain_close(), and @release at last, after which @arg is not used
 * any more; that may be later.  An error: @release was not called.
 */
MUST_CHECK struct gdump_error *domain_listen(struct domain *d, domain_event_fn *fn,
					     void (*release)(void *arg), void *arg);
