/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * guest.c - pausing QEMU's guest, and resuming it
 *
 * Theory of operation.  The guest must never stay paused because of us.  So it
 * counts as paused from before the command is sent until QEMU has answered that
 * it runs, and every way out passes through guest_resume().  In case this process
 * is killed, a guard (see gdump_guard()) gets the connection to the monitor before
 * the command is sent: 'P', which the guard answers with 'G' when it is ready, and
 * 'R' when the guest runs again.  While we make progress, it hears of us every second
 * ('H'); if it does not, it takes over: it reports that ('T', and why), resumes the guest
 * and reports whether it could ('D', 'F').  No memory that is read after 'T' counts.
 *
 * A guest that someone else has paused, or that stopped by itself (a panic, an I/O
 * error), is not ours to resume.
 */
#include "guest.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "../util/debug.h"
#include "../util/fdpass.h"

enum {
	GUARD_LIMITS = 48,              /* bytes of a process and its limits  */
	PATIENCE = 4,                   /* times the usual time-out             */
	RETRY_US = 10000000,            /* while a dump is about to end         */
	GUARD_MS = 10000,               /* until the guard is ready             */
	TAKE_OVER_MS = 60000,           /* until it has resumed the guest       */
	ALIVE_US = 1000000,             /* how often it hears of us             */
};

static struct gdump_error *guest_status(struct qmp *q, json_t **json, const char **status,
					bool *running)
{
	const json_t *value;
	struct gdump_error *err;

	err = qmp_execute(q, "query-status", NULL, json);
	if (!err)
		err = qmp_get_string(*json, "query-status", "status", status);
	if (err)
		return err;
	value = json_object_get(*json, "running");
	if (!json_is_boolean(value))
		return qmp_bad_answer("query-status", "has no boolean \"running\"");
	*running = json_is_true(value);
	return NULL;
}

/* States in which QEMU has no memory to dump, and what to do */
static const struct {
	const char *status, *message;
} unfit[] = {
	{ "inmigrate", "the guest is being migrated to here and not complete yet: dump it where it "
		       "comes from, or when it has arrived" },
	{ "preconfig", "the machine is not built yet: continue with x-exit-preconfig" },
};

static struct gdump_error *guest_check_migration(struct qmp *q)
{
	static const char *const harmless[] = { "none", "completed", "failed", "cancelled" };
	CLEANUP_JSON json_t *value = NULL;
	struct gdump_error *err;
	const char *status;

	err = qmp_execute(q, "query-migrate", NULL, &value);
	/* never migrated: there is no status at all */
	if (err || !json_object_get(value, "status"))
		return err;
	err = qmp_get_string(value, "query-migrate", "status", &status);
	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (!strcmp(status, harmless[i]))
			return NULL;
	return error_new(GDUMP_ERR_REMOTE,
			 "the guest is being migrated (%s): wait until that is over, or cancel it "
			 "with migrate_cancel", status);
}

struct gdump_error *guest_dump_active(struct qmp *q, bool *ret)
{
	CLEANUP_JSON json_t *value = NULL;
	struct gdump_error *err;
	const char *status;

	err = qmp_execute(q, "query-dump", NULL, &value);
	if (!err)
		err = qmp_get_string(value, "query-dump", "status", &status);
	if (!err)
		*ret = !strcmp(status, "active");
	return err;
}

/* What protects a guest's memory from its host, by the type of QEMU's object */
static const struct {
	const char *type, *name;
} protections[] = {
	{ "sev-guest", "AMD SEV" },
	{ "sev-snp-guest", "AMD SEV-SNP" },
	{ "tdx-guest", "Intel TDX" },
	{ "pef-guest", "IBM PEF" },
};

/* A string property of an object; NULL: the object does not have it. */
static struct gdump_error *guest_property(struct qmp *q, const char *path, const char *property,
					  json_t **json, const char **ret)
{
	json_t *args = json_pack("{s:s, s:s}", "path", path, "property", property);
	struct gdump_error *err = args ? qmp_execute(q, "qom-get", args, json) : error_nomem();

	*ret = NULL;
	if (err && qmp_refusal(q)) {
		gdump_error_destroy(err);
		return NULL;
	}
	if (err)
		return err;
	*ret = json_string_value(*json);
	return *ret ? NULL : qmp_bad_answer("qom-get", "gives no text for %s", property);
}

/* Before QEMU 6.0: only SEV, and asked for in another way */
static struct gdump_error *guest_check_sev(struct guest *g, const char **ret)
{
	CLEANUP_JSON json_t *json = NULL;
	struct gdump_error *err = qmp_execute(g->qmp, "query-sev", NULL, &json);

	if (err && qmp_refusal(g->qmp)) {
		gdump_error_destroy(err);
		return NULL;
	}
	if (!err && json_is_true(json_object_get(json, "enabled")))
		*ret = "AMD SEV";
	return err;
}

/* What makes the guest's memory private to it; NULL: nothing */
static struct gdump_error *guest_protection(struct guest *g, const char **ret)
{
	CLEANUP_JSON json_t *link = NULL, *json = NULL;
	const char *object, *type;
	struct gdump_error *err;

	*ret = NULL;
	err = guest_property(g->qmp, "/machine", "confidential-guest-support", &link, &object);
	if (!err && !object)
		return guest_check_sev(g, ret);
	if (err || !*object)
		return err;
	err = guest_property(g->qmp, object, "type", &json, &type);
	if (err)
		return err;
	if (type && !strcmp(type, "s390-pv-guest")) {
		g->may_be_protected = true;
		return NULL;
	}
	*ret = "something unknown";
	for (size_t i = 0; type && i < ARRAY_SIZE(protections); i++)
		if (!strcmp(type, protections[i].type))
			*ret = protections[i].name;
	return NULL;
}

static struct gdump_error *guest_check_private(struct guest *g)
{
	const char *by;
	struct gdump_error *err = guest_protection(g, &by);

	if (err || !by || g->allow_encrypted)
		return err;
	return error_new(GDUMP_ERR_PROTECTED,
			 "the memory is private to the guest, by %s: the host sees it encrypted, and nobody could decrypt a dump of it (--allow-encrypted)",
			 by);
}

struct gdump_error *guest_check(struct guest *g)
{
	CLEANUP_JSON json_t *value = NULL;
	struct gdump_error *err;
	const char *status;
	bool running, active = false;

	err = guest_status(g->qmp, &value, &status, &running);
	if (err)
		return err;
	g->state = running ? GUEST_RUNNING : GUEST_NOT_RUNNING;
	snprintf(g->run_state, sizeof(g->run_state), "%s", status);
	for (size_t i = 0; i < ARRAY_SIZE(unfit); i++)
		if (!strcmp(status, unfit[i].status))
			return error_new(GDUMP_ERR_REMOTE, "%s", unfit[i].message);
	err = guest_check_migration(g->qmp);
	if (!err)
		err = guest_dump_active(g->qmp, &active);
	if (!err && active)
		err = error_new(GDUMP_ERR_REMOTE, "this guest is already being dumped; wait until "
				"query-dump reports that it is done");
	return err ? err : guest_check_private(g);
}

/* Send the guard a message, see guard.c. */
static struct gdump_error *guest_send_guard(const struct guest *g, const char *what, int fd)
{
	const ssize_t n = TEMP_FAILURE_RETRY(fd_send(g->guard_fd, what, strlen(what), fd));

	return n > 0 ? NULL : error_os(errno, "cannot reach the process that guards the guest");
}

static bool guest_peek_guard(const struct guest *g, char *text, size_t size)
{
	const ssize_t n = g->guard_fd > 0 ? recv(g->guard_fd, text, size - 1, MSG_PEEK | MSG_DONTWAIT) : 0;

	text[n > 0 ? n : 0] = '\0';
	return text[0] == 'T';
}

struct gdump_error *guest_torn(struct guest *g)
{
	char text[128];

	if (!guest_peek_guard(g, text, sizeof(text)))
		return NULL;
	g->torn = true;
	return error_new(GDUMP_ERR_REMOTE,
			 "the guest was resumed before all memory was read: %s", text + 1);
}

void guest_alive(struct guest *g)
{
	const uint64_t now = clock_us(), then = g->alive_us;

	if (g->guard_fd <= 0 || now - then < ALIVE_US)
		return;
	g->alive_us = now;
	send(g->guard_fd, "H", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

struct gdump_error *guest_overdue(struct guest *g, uint64_t progress)
{
	if (pause_limit_note(&g->limit, progress))
		guest_alive(g);
	return g->state == GUEST_PAUSED ?
	       pause_limit_check(&g->limit, clock_us() - g->pause_us) : NULL;
}

/* The same, together with the connection to the monitor, and wait for the answer. */
static struct gdump_error *guest_call_guard(struct guest *g, const char *what)
{
	struct pollfd p = { .fd = g->guard_fd, .events = POLLIN };
	struct gdump_error *err = guest_send_guard(g, what, qmp_fd(g->qmp));
	char c = 0;
	int n;

	if (err)
		return err;
	n = (int)TEMP_FAILURE_RETRY(poll(&p, 1, GUARD_MS));
	if (n != 1 || TEMP_FAILURE_RETRY(recv(p.fd, &c, 1, 0)) != 1 || c != 'G')
		return error_new(GDUMP_ERR_REMOTE,
				 "the process that guards the guest does not answer");
	return NULL;
}

/* There is nothing for us to resume any more; the guest is in state @now. */
static void guest_leave(struct guest *g, enum guest_state now)
{
	if (g->state == GUEST_PAUSED && g->guard_fd > 0)
		gdump_error_destroy(guest_send_guard(g, "R", -1));
	g->state = now;
}

static struct gdump_error *guest_stop(struct guest *g)
{
	const struct qmp_command stop = {
		.name = "stop",
		.timeout_ms = qmp_timeout_ms(g->qmp) * PATIENCE,
	};
	CLEANUP_JSON json_t *value = NULL;
	struct gdump_error *err;
	const char *status;
	bool running;

	g->pause_us = clock_us();
	err = qmp_run(g->qmp, &stop, NULL);
	if (err && qmp_refusal(g->qmp))
		guest_leave(g, GUEST_RUNNING);
	if (!err)
		err = guest_status(g->qmp, &value, &status, &running);
	/* it may have stopped for another reason just then */
	if (!err && strcmp(status, "paused"))
		guest_leave(g, GUEST_PAUSED_BY_OTHERS);
	if (!err)
		debug_log(qmp_debug(g->qmp), GDUMP_DEBUG_STEP,
			  "the guest is not running (%s) since QEMU was asked to pause it %.1f ms ago",
			  status, (double)(clock_us() - g->pause_us) / 1000);
	return err;
}

/* The start of a message to the guard: whom to watch, and for how long the guest may wait */
static void guest_put_limits(const struct guest *g, char what, char text[GUARD_LIMITS])
{
	snprintf(text, GUARD_LIMITS, "%c%d %u %u", what, (int)getpid(), g->limit.stall_ms,
		 g->limit.max_ms);
}

struct gdump_error *guest_pause(struct guest *g)
{
	struct gdump_error *err = NULL;
	char text[GUARD_LIMITS];

	if (g->state == GUEST_NOT_RUNNING)
		g->state = GUEST_PAUSED_BY_OTHERS;
	if (g->state != GUEST_RUNNING)
		return NULL;
	guest_put_limits(g, 'P', text);
	if (g->guard_fd > 0)
		err = guest_call_guard(g, text);
	if (err)
		return err;
	g->state = GUEST_PAUSED;
	return guest_stop(g);
}

struct gdump_error *guest_check_paused(struct guest *g)
{
	CLEANUP_JSON json_t *value = NULL;
	struct gdump_error *err;
	const char *status;
	bool running = false;

	err = guest_status(g->qmp, &value, &status, &running);
	if (!err && running)
		err = error_new(GDUMP_ERR_REMOTE,
				"the guest was resumed by someone else while its memory was read, so "
				"the memory is not of one moment; try again");
	return err;
}

/* Send cont until QEMU no longer refuses it because of a dump. */
static struct gdump_error *guest_cont(struct guest *g)
{
	const struct qmp_command cont = {
		.name = "cont",
		.timeout_ms = qmp_timeout_ms(g->qmp) * PATIENCE,
	};
	uint64_t begun = clock_us();
	struct gdump_error *err;
	const char *refusal;

	for (;;) {
		err = qmp_run(g->qmp, &cont, NULL);
		refusal = qmp_refusal(g->qmp);
		if (!err || !refusal || !strstr(refusal, "dump") ||
		    clock_us() - begun > RETRY_US)
			return err;
		gdump_error_destroy(err);
		poll(NULL, 0, 20);
	}
}

/* The guard has acted: whether the guest was resumed, and when, on clock_us() */
static bool guest_take_resumed(const struct guest *g, uint64_t *ret)
{
	char text[128] = { 0 };

	if (recv(g->guard_fd, text, sizeof(text) - 1, 0) <= 0 ||
	    sscanf(text, "D%" SCNu64, ret) != 1)
		return false;
	*ret = MAX(*ret, g->pause_us);
	return true;
}

struct gdump_error *guest_await_guard(struct guest *g)
{
	struct pollfd p = { .fd = g->guard_fd, .events = POLLIN };
	const bool reported = g->torn;
	struct gdump_error *err = guest_torn(g);
	char text[128] = { 0 };
	uint64_t resumed_us;

	if (!err)
		return NULL;
	/* 'T', which was only looked at, and what comes of it */
	if (recv(p.fd, text, sizeof(text), 0) > 0 && poll(&p, 1, TAKE_OVER_MS) == 1 &&
	    guest_take_resumed(g, &resumed_us) && g->state == GUEST_PAUSED) {
		g->paused_us += resumed_us - g->pause_us;
		guest_leave(g, GUEST_RUNNING);
	}
	if (!reported)
		return err;
	gdump_error_destroy(err);
	return NULL;
}

struct gdump_error *guest_resume(struct guest *g)
{
	struct gdump_error *err;

	if (g->state == GUEST_PAUSED_BY_OTHERS)
		g->state = GUEST_NOT_RUNNING;
	if (g->state != GUEST_PAUSED)
		return NULL;
	qmp_ignore_cancel(g->qmp);
	err = guest_cont(g);
	if (err && qmp_process_died(g->qmp, 0)) {
		guest_leave(g, GUEST_NOT_RUNNING);
		return error_prefix(err, "the guest is gone");
	}
	if (err)
		return error_prefix(err, "the guest is still paused and could not be resumed");
	g->paused_us += clock_us() - g->pause_us;
	guest_leave(g, GUEST_RUNNING);
	debug_log(qmp_debug(g->qmp), GDUMP_DEBUG_STEP, "the guest is resumed after %.1f ms",
		  (double)g->paused_us / 1000);
	return NULL;
}

struct gdump_error *guest_guard_pipe(struct guest *g, const char *name, int fd, bool may_break)
{
	char text[GUARD_LIMITS + 65];

	if (g->guard_fd <= 0)
		return NULL;
	guest_put_limits(g, !name ? 'E' : may_break ? 'C' : 'S', text);
	if (name)
		snprintf(text + strlen(text), 65, " %s", name);
	return guest_send_guard(g, text, fd);
}

struct gdump_error *guest_guard_undo(struct guest *g, const char *command)
{
	char text[260];

	if (g->guard_fd <= 0)
		return NULL;
	snprintf(text, sizeof(text), "U%s", command);
	return guest_call_guard(g, text);
}

void guest_guard_undone(struct guest *g)
{
	if (g->guard_fd > 0)
		gdump_error_destroy(guest_send_guard(g, "N", -1));
}

void guest_was_resumed(struct guest *g)
{
	gdump_error_destroy(guest_guard_pipe(g, NULL, -1, false));
	/* QEMU's events also cover what we did not see: its work before and after */
	g->paused_us = qmp_stopped_us(g->qmp);
}

uint64_t guest_paused_us(const struct guest *g)
{
	return g->paused_us + (g->state == GUEST_PAUSED ? clock_us() - g->pause_us : 0);
}
