/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qmp.h - talking to QEMU's monitor
 *
 * QMP is JSON over a unix socket: QEMU greets, we leave the negotiation mode,
 * then each command gets one answer; events come in between.  See QEMU's
 * docs/interop/qmp-spec.
 *
 * A connection is for one thread at a time.  Every wait asks the caller's
 * cancel function ten times a second and ends after a time-out.  Nothing that
 * QEMU says is believed: an answer of the wrong shape is GDUMP_ERR_REMOTE with
 * a message that names the command and what was odd.
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

/* The process that listens on the socket; 0: the kernel does not tell, as it
 * is in another PID namespace.
 */
pid_t qmp_pid(const struct qmp *q);
/* In case the kernel told that of somebody else, who had opened the socket. */
MUST_CHECK struct gdump_error *qmp_set_pid(struct qmp *q, pid_t pid);
/* Whether that process has ended; false when it is not known. */
bool qmp_process_died(const struct qmp *q, int wait_ms);
/* "7.2.22 (Debian 1:7.2+dfsg-7)" */
const char *qmp_version(const struct qmp *q);
/* How long the guest has stood still in all, by the events that came between answers */
uint64_t qmp_stopped_us(const struct qmp *q);
/* Where what we do with this QEMU is logged; all messages of its monitor are. */
const struct debug *qmp_debug(const struct qmp *q);
/* How long we wait for an answer that nothing is known to delay */
unsigned int qmp_timeout_ms(const struct qmp *q);
/* The connected socket, to hand it to someone else. */
int qmp_fd(const struct qmp *q);
/* From now on nothing is cancelled: for what must be done on the way out. */
void qmp_ignore_cancel(struct qmp *q);

struct qmp_command {
	const char *name;
	json_t *args;                   /* taken over; NULL: none               */
	unsigned int timeout_ms;        /* 0: as given to qmp_open()            */
	bool sends_fd;
	int fd;                         /* goes along with the command          */
	struct qmp_pump *pump;          /* or NULL                              */
};

/* Run a command and wait for its answer; @ret (may be NULL) gets what it
 * returned, for json_decref().  A refusal of QEMU is GDUMP_ERR_REMOTE, and
 * qmp_refusal() then tells it from other failures.
 */
MUST_CHECK struct gdump_error *qmp_run(struct qmp *q, const struct qmp_command *cmd,
				       json_t **ret);
/* Only send one; its answer will be passed over. */
MUST_CHECK struct gdump_error *qmp_post(struct qmp *q, const char *name);
MUST_CHECK struct gdump_error *qmp_execute(struct qmp *q, const char *name, json_t *args,
					   json_t **ret);
/* Why QEMU refused the last command, in its words; NULL: it did not. */
const char *qmp_refusal(const struct qmp *q);
/* Whether it refused because it has no such command. */
bool qmp_unknown_command(const struct qmp *q);

/* Run a command line of the human monitor; @ret is for free(). */
MUST_CHECK struct gdump_error *qmp_hmp(struct qmp *q, const char *line, char **ret);
/* Give QEMU a descriptor and the name @name for it; ours stays open. */
MUST_CHECK struct gdump_error *qmp_send_fd(struct qmp *q, const char *name, int fd);
/* Read @pump to its end, or until *@enough (may be NULL), after the command that
 * feeds it; @what is it, for messages.
 */
MUST_CHECK struct gdump_error *qmp_drain(struct qmp *q, struct qmp_pump *pump,
					 const bool *enough, const char *what);
/* The error for an answer that is not what it should be. */
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
