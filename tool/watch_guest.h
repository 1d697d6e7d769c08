/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * watch_guest.h - a guest that guestdump watch watches
 *
 *     AWAY      not connected: it has ended, or its monitor is in use; tried again later
 *     WATCHED   connected
 *     WAITING   something has happened, and its turn to be taken has not come
 *     TAKEN     a process of its own takes the crash, and has the monitor to itself
 */
#pragma once

#include <regex.h>

#include <guestdump.h>

#include "watch_policy.h"

enum watched_state { AWAY, WATCHED, WAITING, TAKEN };

struct watched {
	char *name;                     /* for people, and in the policy: "web1" */
	char *where;                    /* how to open it: "qmp:/run/web1.sock" */
	char *uuid, *hypervisor;        /* NULL: unknown                        */
	pid_t pid;                      /* 0: unknown                           */
	bool is_named;                  /* on the command line: kept when it has ended */
	bool seen;                      /* in the list of guests that was read last */

	struct watch_policy policy;
	regex_t *patterns;              /* of policy.when_log                   */
	size_t num_patterns;

	enum watched_state state;
	struct gdump_watch *watch;      /* NULL: AWAY or TAKEN                  */
	uint64_t retry_ms;              /* AWAY: when to try again              */
	unsigned int num_failures;      /* since it was connected last          */

	struct gdump *image;            /* for its log; NULL: not opened yet    */
	uint64_t log_ms;                /* when to read the log again; 0: never */
	uint64_t next_record;           /* the first record of the log that is new */
	bool log_known;                 /* next_record counts                   */

	uint64_t crashloaded_ms;        /* until then its own kdump may run; 0: it does not */

	/* what has happened: WAITING, TAKEN, and of the last time */
	enum watch_trigger trigger;
	char detail[200];
	int64_t time;                   /* in seconds since 1970; 0: nothing so far */
	bool found;                     /* it was found so when we connected    */
	int64_t taken_time;             /* of the last crash that was taken; 0: none */

	pid_t worker;                   /* TAKEN: the process that takes it; 0: none */
	int released;                   /* its pipe; -1: none                   */
};

/* @name and @where are copied, the texts of @policy are not.  NULL: no memory */
struct watched *watched_create(const char *name, const char *where, const struct watch_policy *policy);
/* Take another policy; false: no memory, and its log is not read any more. */
bool watched_set_policy(struct watched *g, const struct watch_policy *policy);
void watched_destroy(struct watched *g);

/* Connect, if it is time. */
void watched_connect(struct watched *g, uint64_t now_ms);
/* Disconnect, so that others can use the monitor. */
void watched_disconnect(struct watched *g);
/* Take in what has happened, and read the log if it is time.  Then it may be AWAY or WAITING. */
void watched_listen(struct watched *g, uint64_t now_ms);
/* SIGUSR1: it is to be taken whatever happens. */
void watched_ask(struct watched *g);
/* What has happened is not taken, or has been: do what the policy asks for, and watch it again. */
void watched_finish(struct watched *g, uint64_t now_ms);
/* When watched_connect() or watched_listen() has something to do without an event */
uint64_t watched_deadline(const struct watched *g);
