/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qmp.h - commands to QEMU's monitor
 *
 * QMP is JSON over a unix socket: QEMU greets, we leave the negotiation mode, then each
 * command gets one answer; events come in between.  See QEMU's docs/interop/qmp-spec.
 *
 * A connection is for one thread at a time.  Every wait asks the caller's cancel function
 * ten times a second and ends after a time-out.  All answers are checked: one of the wrong
 * form is GDUMP_ERR_REMOTE with a message that names the command and what is wrong.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "qmp_pump.h"

/* The id of the guard's commands: their answers are ignored. */
#define QMP_GUARD_ID "guestdump-guard"

struct debug;
struct qmp;

/* Connect to the unix socket @path and leave the negotiation mode.  Of @opt:
 * the time-out and the cancel function.
 */
MUST_CHECK struct gdump_error *qmp_open(const char *path, const struct gdump_open_options *opt,
					struct qmp **ret);
void qmp_close(struct qmp *q);

/* Another program's connection to QEMU, which passes on commands without descriptors */
struct qmp_carrier {
	/* Send a line of JSON without an id; @answer is for free(). */
	struct gdump_error *(*run)(void *arg, const char *line, char **answer);
	void *arg;
};

/* Use such a connection.  There are no time-outs, and no pump is read meanwhile. */
MUST_CHECK struct gdump_error *qmp_open_carried(const struct qmp_carrier *carrier,
						const struct gdump_open_options *opt,
						struct qmp **ret);

/* The process that listens on the socket; 0: unknown, because it is in another PID
 * namespace.
 */
pid_t qmp_pid(const struct qmp *q);
/* Set the process, if another one opened the socket, so that the kernel reports that one. */
MUST_CHECK struct gdump_error *qmp_set_pid(struct qmp *q, pid_t pid);
/* Whether that process has ended; false if that is unknown. */
bool qmp_process_died(const struct qmp *q, int wait_ms);
/* "7.2.22 (Debian 1:7.2+dfsg-7)" */
const char *qmp_version(const struct qmp *q);
/* How long the guest was paused in total, by the events that came between answers */
uint64_t qmp_stopped_us(const struct qmp *q);
/* The debug log for all that concerns this QEMU; it has all messages of the monitor. */
const struct debug *qmp_debug(const struct qmp *q);
/* The usual time-out for an answer */
unsigned int qmp_timeout_ms(const struct qmp *q);
/* The connected socket, to pass it to another process */
int qmp_fd(const struct qmp *q);
/* From now on ignore cancellation, for commands that must run during cleanup. */
void qmp_ignore_cancel(struct qmp *q);

/* From now on @fn gets each event that comes, also while a command waits for its answer; it must
 * not run commands.
 */
void qmp_set_event_fn(struct qmp *q, void (*fn)(void *arg, const json_t *event), void *arg);
/* Take in the events that have come, without waiting.  GDUMP_ERR_REMOTE: QEMU has ended, or closed
 * the monitor.
 */
MUST_CHECK struct gdump_error *qmp_listen(struct qmp *q);

struct qmp_command {
	const char *name;
	json_t *args;                   /* taken over; NULL: none               */
	unsigned int timeout_ms;        /* 0: as given to qmp_open()            */
	bool sends_fd;
	int fd;                         /* sent with the command                */
	struct qmp_pump *pump;          /* or NULL                              */
};

/* Run a command and wait for its answer; @ret (may be NULL) gets what it
 * returned, for json_decref().  If QEMU refuses the command, that is
 * GDUMP_ERR_REMOTE, and qmp_refusal() is not NULL.
 */
MUST_CHECK struct gdump_error *qmp_run(struct qmp *q, const struct qmp_command *cmd,
				       json_t **ret);
/* Send a command without waiting; its answer will be ignored. */
MUST_CHECK struct gdump_error *qmp_post(struct qmp *q, const char *name);
MUST_CHECK struct gdump_error *qmp_execute(struct qmp *q, const char *name, json_t *args,
					   json_t **ret);
/* QEMU's message if it refused the last command, else NULL */
const char *qmp_refusal(const struct qmp *q);
/* Whether it refused because it has no such command. */
bool qmp_unknown_command(const struct qmp *q);

/* Run a command line of the human monitor; @ret is for free(). */
MUST_CHECK struct gdump_error *qmp_hmp(struct qmp *q, const char *line, char **ret);
/* Pass a descriptor to QEMU under the name @name; ours remains open. */
MUST_CHECK struct gdump_error *qmp_send_fd(struct qmp *q, const char *name, int fd);
/* Read @pump to its end, or until *enough is true (@enough may be NULL), after the command
 * that fills it; @what names it in messages.
 */
MUST_CHECK struct gdump_error *qmp_drain(struct qmp *q, struct qmp_pump *pump,
					 const bool *enough, const char *what);
/* The error for an invalid answer */
MUST_CHECK struct gdump_error *qmp_bad_answer(const char *command, const char *fmt, ...)
	PRINTF(2, 3);

/* Members of an answer, checked: the strings belong to @obj. */
MUST_CHECK struct gdump_error *qmp_get_string(const json_t *obj, const char *command,
					      const char *key, const char **ret);
MUST_CHECK struct gdump_error *qmp_get_uint(const json_t *obj, const char *command,
					    const char *key, uint64_t *ret);

static inline void qmp_cleanup(struct qmp **q)
{
	qmp_close(*q);
}
#define CLEANUP_QMP __attribute__((__cleanup__(qmp_cleanup)))

static inline void qmp_json_cleanup(json_t **json)
{
	json_decref(*json);
}
#define CLEANUP_JSON __attribute__((__cleanup__(qmp_json_cleanup)))
