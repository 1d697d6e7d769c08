/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * wire.h - the connection of qmp.c: sends and receives messages, with time-outs
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "../util/debug.h"
#include "qmp_pump.h"

struct wire {
	int fd, pidfd;                  /* -1: none                             */
	pid_t pid;                      /* of QEMU, or 0                        */
	gdump_cancel_fn *cancel;
	void *cancel_arg;
	struct debug debug;
	char *buf;                      /* received and not yet used            */
	size_t len, cap;
	size_t searched;                /* no message ends before this byte     */
	/* by the time stamps of QEMU's events */
	uint64_t stop_us;               /* when the guest was paused; 0: it runs */
	uint64_t stopped_us;            /* how long it was paused before that   */
	void (*event)(void *arg, const json_t *event);  /* gets all events; or NULL */
	void *event_arg;
};

/* One wait, for an answer or the greeting */
struct wait {
	const char *what;               /* "its answer to stop"                 */
	unsigned int timeout_ms;
	uint64_t deadline;
	struct qmp_pump *pump;          /* read meanwhile, or NULL              */
};

struct wait wait_begin(const char *what, unsigned int timeout_ms, struct qmp_pump *pump);
bool wait_is_over(const struct wait *w);

/* Begin with all zero and the descriptors -1. When the time is over, it may be called again. */
MUST_CHECK struct gdump_error *wire_connect(struct wire *w, const char *path, struct wait *wait);
void wire_close(struct wire *w);
/* Set the process on the other side, if the socket does not report it. */
MUST_CHECK struct gdump_error *wire_set_pid(struct wire *w, pid_t pid);
bool wire_peer_died(const struct wire *w, int wait_ms);

/* Send a line, and @fd with it (-1: none). */
MUST_CHECK struct gdump_error *wire_send(struct wire *w, struct wait *wait, const char *line,
					 int fd);
/* Wait for the next message that is not an event. */
MUST_CHECK struct gdump_error *wire_next(struct wire *w, struct wait *wait, json_t **ret);
/* Take in what QEMU has sent since, without waiting: events, and answers that nobody waits for. */
MUST_CHECK struct gdump_error *wire_listen(struct wire *w);
/* Wait a little for @events on the socket (0: none), and let the pump read meanwhile.
 * Cancellation and time-outs are checked here.
 */
MUST_CHECK struct gdump_error *wire_tick(struct wire *w, struct wait *wait, short events,
					 short *happened);
