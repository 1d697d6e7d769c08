/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qmp.c - talking to QEMU's monitor
 *
 * Answers are matched by their id.  One with an older id belongs to a command
 * that we gave up on, and is dropped.
 *
 * A monitor serves one client at a time and leaves others in the queue of its
 * socket: connect() works there, but the greeting never comes.  A monitor that
 * accepts a connection sends its greeting at once; what accepts and is silent is
 * a console or the like.  Nothing is sent before the greeting has come.
 */
#include "qmp.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/warn.h"
#include "socket_holder.h"
#include "wire.h"

enum {
	TIMEOUT_MS = 30000,             /* when the caller does not say         */
	BUSY_MS = 500,                  /* a greeting takes less                */
	QUIET_MS = 2000,                /* of waiting, before a user wonders    */
	SILENT_MS = 5000,               /* after which it is no monitor         */
};

struct qmp {
	struct wire wire;
	unsigned int timeout_ms;
	json_int_t last_id;
	char *refusal;
	bool unknown_command;
	char version[96];
	struct qmp_carrier carrier;     /* of commands; without run: wire does  */
};

/* Something that QEMU does for one client after the other */
struct qmp_turn {
	struct gdump_error *(*step)(struct qmp *q, struct qmp_turn *turn, struct wait *w);
	const char *path;
	json_t *greeting;               /* once it has come                     */
};

/* The command as a line of JSON, for free(). */
static struct gdump_error *qmp_compose(struct qmp *q, const struct qmp_command *cmd, char **ret)
{
	CLEANUP_JSON json_t *json = json_pack("{s:s, s:o*}", "execute", cmd->name,
					      "arguments", cmd->args);
	size_t len;
	char *line;

	if (!json || (!q->carrier.run && json_object_set_new(json, "id", json_integer(++q->last_id))))
		return error_nomem();
	len = json_dumpb(json, NULL, 0, JSON_COMPACT);
	line = len ? malloc(len + 2) : NULL;
	if (!line)
		return error_nomem();
	/* it may run out of memory half-way */
	if (json_dumpb(json, line, len, JSON_COMPACT) != len) {
		free(line);
		return error_nomem();
	}
	memcpy(line + len, "\n", 2);
	*ret = line;
	return NULL;
}

/* QEMU said no: keep why. */
static struct gdump_error *qmp_refused(struct qmp *q, const char *command, const json_t *error)
{
	const char *class = json_string_value(json_object_get(error, "class"));
	const char *desc = json_string_value(json_object_get(error, "desc"));

	if (!desc)
		return qmp_bad_answer(command, "is an error without \"desc\"");
	q->unknown_command = class && !strcmp(class, "CommandNotFound");
	q->refusal = strdup(desc);
	if (!q->refusal)
		return error_nomem();
	return error_new(GDUMP_ERR_REMOTE, "QEMU refused %s: %s", command, desc);
}

/* Wait for the answer to the command that was sent last. */
static struct gdump_error *qmp_answer(struct qmp *q, struct wait *w, const char *command,
				      json_t **ret)
{
	struct gdump_error *err;
	json_t *id, *value;

	for (;;) {
		CLEANUP_JSON json_t *answer = NULL;

		err = wire_next(&q->wire, w, &answer);
		if (err)
			return err;
		id = json_object_get(answer, "id");
		value = json_object_get(answer, "error");
		if (json_is_integer(id) && json_integer_value(id) < q->last_id)
			continue;
		/* of the guard, which has taken over meanwhile */
		if (json_is_string(id) && !strcmp(json_string_value(id), QMP_GUARD_ID))
			continue;
		/* without id: QEMU could not even read the command */
		if (value && (!id || json_integer_value(id) == q->last_id))
			return qmp_refused(q, command, value);
		value = json_object_get(answer, "return");
		if (!value || json_integer_value(id) != q->last_id)
			return qmp_bad_answer(command, "is neither an answer to it nor an event");
		*ret = json_incref(value);
		return NULL;
	}
}

/* Run a command over another's connection. */
static struct gdump_error *qmp_carry(struct qmp *q, const struct qmp_command *cmd, const char *line,
				     json_t **ret)
{
	CLEANUP_FREE char *text = NULL;
	CLEANUP_JSON json_t *answer = NULL;
	const json_t *refused;
	struct gdump_error *err;

	if (cmd->sends_fd || cmd->pump)
		return error_new(GDUMP_ERR_UNSUPPORTED, "%s cannot be sent over this connection", cmd->name);
	err = q->carrier.run(q->carrier.arg, line, &text);
	if (err)
		return err;
	answer = json_loads(text, JSON_DECODE_ANY, NULL);
	refused = json_object_get(answer, "error");
	if (refused)
		return qmp_refused(q, cmd->name, refused);
	*ret = json_incref(json_object_get(answer, "return"));
	return *ret ? NULL : qmp_bad_answer(cmd->name, "is not an answer to it");
}

struct gdump_error *qmp_run(struct qmp *q, const struct qmp_command *cmd, json_t **ret)
{
	CLEANUP_JSON json_t *value = NULL;
	CLEANUP_FREE char *line = NULL;
	struct gdump_error *err;
	char what[96];
	struct wait w;

	free(q->refusal);
	q->refusal = NULL;
	q->unknown_command = false;
	snprintf(what, sizeof(what), "its answer to %s", cmd->name);
	w = wait_begin(what, cmd->timeout_ms ? cmd->timeout_ms : q->timeout_ms, cmd->pump);
	err = qmp_compose(q, cmd, &line);
	if (!err && q->carrier.run)
		err = qmp_carry(q, cmd, line, &value);
	else if (!err)
		err = wire_send(&q->wire, &w, line, cmd->sends_fd ? cmd->fd : -1);
	if (!err && !q->carrier.run)
		err = qmp_answer(q, &w, cmd->name, &value);
	if (err)
		return err;
	if (ret)
		*ret = TAKE_PTR(value);
	return NULL;
}

struct gdump_error *qmp_post(struct qmp *q, const char *name)
{
	const struct qmp_command cmd = { .name = name };
	struct wait w = wait_begin("room for a command", q->timeout_ms, NULL);
	CLEANUP_FREE char *line = NULL;
	struct gdump_error *err = qmp_compose(q, &cmd, &line);

	return err ? err : wire_send(&q->wire, &w, line, -1);
}

struct gdump_error *qmp_execute(struct qmp *q, const char *name, json_t *args, json_t **ret)
{
	return qmp_run(q, &(struct qmp_command){ .name = name, .args = args }, ret);
}

const char *qmp_refusal(const struct qmp *q)
{
	return q->refusal;
}

bool qmp_unknown_command(const struct qmp *q)
{
	return q->unknown_command;
}

struct gdump_error *qmp_hmp(struct qmp *q, const char *line, char **ret)
{
	CLEANUP_JSON json_t *args = json_pack("{s:s}", "command-line", line), *value = NULL;
	struct gdump_error *err;
	char *text;

	if (!args)
		return error_nomem();
	err = qmp_execute(q, "human-monitor-command", TAKE_PTR(args), &value);
	if (err)
		return error_prefix(err, "\"%s\"", line);
	if (!json_is_string(value))
		return qmp_bad_answer(line, "is not a string");
	text = strdup(json_string_value(value));
	if (!text)
		return error_nomem();
	*ret = text;
	return NULL;
}

struct gdump_error *qmp_send_fd(struct qmp *q, const char *name, int fd)
{
	struct qmp_command cmd = {
		.name = "getfd",
		.args = json_pack("{s:s}", "fdname", name),
		.sends_fd = true,
		.fd = fd,
	};

	return cmd.args ? qmp_run(q, &cmd, NULL) : error_nomem();
}

struct gdump_error *qmp_drain(struct qmp *q, struct qmp_pump *pump, const bool *enough,
			      const char *what)
{
	struct wait w = wait_begin(what, q->timeout_ms, pump);
	struct gdump_error *err = NULL;
	short happened;

	while (!err && pump->fd >= 0 && !(enough && *enough))
		err = wire_tick(&q->wire, &w, 0, &happened);
	return err;
}

struct gdump_error *qmp_bad_answer(const char *command, const char *fmt, ...)
{
	CLEANUP_FREE char *what = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) < 0)
		what = NULL;
	va_end(ap);
	if (!what)
		return error_nomem();
	return error_new(GDUMP_ERR_REMOTE, "QEMU's answer to \"%s\" %s", command, what);
}

struct gdump_error *qmp_get_string(const json_t *obj, const char *command, const char *key,
				   const char **ret)
{
	const json_t *value = json_object_get(obj, key);

	if (!json_is_string(value))
		return qmp_bad_answer(command, "has no string \"%s\"", key);
	*ret = json_string_value(value);
	return NULL;
}

struct gdump_error *qmp_get_uint(const json_t *obj, const char *command, const char *key,
				 uint64_t *ret)
{
	const json_t *value = json_object_get(obj, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return qmp_bad_answer(command, "has no number \"%s\"", key);
	*ret = (uint64_t)json_integer_value(value);
	return NULL;
}

/* Take the version out of the greeting.  It is for people only. */
static struct gdump_error *qmp_greeted(struct qmp *q, const json_t *greeting)
{
	const json_t *version = json_object_get(json_object_get(greeting, "QMP"), "version");
	const char *package = json_string_value(json_object_get(version, "package"));
	int major, minor, micro;

	if (json_unpack((json_t *)(uintptr_t)version, "{s:{s:i, s:i, s:i}}", "qemu",
			"major", &major, "minor", &minor, "micro", &micro))
		return qmp_bad_answer("greeting", "has no version: is it QMP?");
	if (package && *package)
		snprintf(q->version, sizeof(q->version), "%d.%d.%d (%s)", major, minor, micro,
			 package);
	else
		snprintf(q->version, sizeof(q->version), "%d.%d.%d", major, minor, micro);
	return NULL;
}

/* Nothing has come for @ms. */
static struct gdump_error *qmp_no_turn(enum socket_turn turn, const struct socket_holder *holder,
				       unsigned int ms)
{
	switch (turn) {
	case SOCKET_TURN_TAKEN:
		return error_new(GDUMP_ERR_REMOTE,
				 "this monitor is in use by %s, and serves one client at a time: end "
				 "that one, wait for it (--timeout), or give QEMU a second -qmp",
				 holder->text);
	case SOCKET_TURN_OURS:
		return error_new(GDUMP_ERR_REMOTE,
				 "this is no QMP monitor: it accepted the connection and sent no "
				 "greeting within %u s, like a serial console or a guest agent; "
				 "guestdump guests lists QEMU's monitors", ms / 1000);
	default:
		return error_new(GDUMP_ERR_REMOTE,
				 "no greeting within %u s: QEMU is stuck, or this monitor is in use "
				 "(by libvirt?) and serves one client at a time: end that one or give "
				 "QEMU a second -qmp", ms / 1000);
	}
}

/* Wait for our turn in @step, which may be called again when its time is over. The one who names a
 * time-out is willing to wait; others hear early that somebody else is connected, or that this is no
 * monitor.
 */
static struct gdump_error *qmp_wait_turn(struct qmp *q, const struct gdump_open_options *opt,
					 struct wait w, struct qmp_turn *turn)
{
	const unsigned int stages[] = { BUSY_MS, QUIET_MS, SILENT_MS, q->timeout_ms };
	struct socket_holder holder;
	struct gdump_error *err;
	enum socket_turn whose;
	bool is_known;

	for (size_t i = 0;; i++) {
		struct wait part = w;

		if (stages[i] < w.timeout_ms)
			part.deadline -= (uint64_t)(w.timeout_ms - stages[i]) * 1000;
		err = turn->step(q, turn, &part);
		if (!err || gdump_error_code(err) != GDUMP_ERR_REMOTE || !wait_is_over(&part))
			return err;
		gdump_error_destroy(err);
		whose = socket_turn_find(turn->path, q->wire.fd, &holder);
		is_known = whose == SOCKET_TURN_TAKEN ||
			   (whose == SOCKET_TURN_OURS && stages[i] >= SILENT_MS);
		if (i + 1 == ARRAY_SIZE(stages) || (is_known && !opt->timeout_ms))
			return qmp_no_turn(whose, &holder, stages[i]);
		if (stages[i] == QUIET_MS && !wait_is_over(&w))
			warn_caller(opt, "QEMU's monitor is silent or in use; still waiting for it");
	}
}

static struct gdump_error *qmp_connect_step(struct qmp *q, struct qmp_turn *turn, struct wait *w)
{
	return wire_connect(&q->wire, turn->path, w);
}

static struct gdump_error *qmp_greeting_step(struct qmp *q, struct qmp_turn *turn, struct wait *w)
{
	return wire_next(&q->wire, w, &turn->greeting);
}

/* Connect, and take the greeting for json_decref(). */
static struct gdump_error *qmp_connect(struct qmp *q, const char *path,
				       const struct gdump_open_options *opt, json_t **greeting)
{
	struct qmp_turn turn = { .step = qmp_connect_step, .path = path };
	struct gdump_error *err;

	err = qmp_wait_turn(q, opt, wait_begin("a place in the queue of its socket", q->timeout_ms,
					       NULL), &turn);
	turn.step = qmp_greeting_step;
	if (!err)
		err = qmp_wait_turn(q, opt, wait_begin("its greeting", q->timeout_ms, NULL), &turn);
	*greeting = turn.greeting;
	return err;
}

/* All but the connection */
static struct qmp *qmp_create(const struct gdump_open_options *opt)
{
	struct qmp *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->timeout_ms = opt->timeout_ms ? opt->timeout_ms : TIMEOUT_MS;
	q->wire = (struct wire){
		.fd = -1,
		.pidfd = -1,
		.cancel = opt->cancel,
		.cancel_arg = opt->cancel_arg,
		.debug = debug_of(opt),
	};
	return q;
}

struct gdump_error *qmp_open_carried(const struct qmp_carrier *carrier,
				     const struct gdump_open_options *opt, struct qmp **ret)
{
	CLEANUP_QMP struct qmp *q = qmp_create(opt);
	CLEANUP_JSON json_t *version = NULL, *greeting = NULL;
	struct gdump_error *err;

	if (!q)
		return error_nomem();
	q->carrier = *carrier;
	err = qmp_execute(q, "query-version", NULL, &version);
	if (err)
		return err;
	greeting = json_pack("{s:{s:O}}", "QMP", "version", version);
	err = greeting ? qmp_greeted(q, greeting) : error_nomem();
	if (!err)
		*ret = TAKE_PTR(q);
	return err;
}

struct gdump_error *qmp_open(const char *path, const struct gdump_open_options *opt,
			     struct qmp **ret)
{
	CLEANUP_JSON json_t *greeting = NULL;
	CLEANUP_QMP struct qmp *q = qmp_create(opt);
	struct gdump_error *err;

	if (!q)
		return error_nomem();
	err = qmp_connect(q, path, opt, &greeting);
	if (!err)
		err = qmp_greeted(q, greeting);
	if (!err)
		err = qmp_execute(q, "qmp_capabilities", NULL, NULL);
	if (err)
		return err;
	*ret = TAKE_PTR(q);
	return NULL;
}

void qmp_close(struct qmp *q)
{
	if (!q)
		return;
	wire_close(&q->wire);
	free(q->refusal);
	free(q);
}

void qmp_set_event_fn(struct qmp *q, void (*fn)(void *arg, const json_t *event), void *arg)
{
	q->wire.event = fn;
	q->wire.event_arg = arg;
}

struct gdump_error *qmp_listen(struct qmp *q)
{
	return wire_listen(&q->wire);
}

uint64_t qmp_stopped_us(const struct qmp *q)
{
	return q->wire.stopped_us;
}

pid_t qmp_pid(const struct qmp *q)
{
	return q->wire.pid;
}

struct gdump_error *qmp_set_pid(struct qmp *q, pid_t pid)
{
	return wire_set_pid(&q->wire, pid);
}

bool qmp_process_died(const struct qmp *q, int wait_ms)
{
	return wire_peer_died(&q->wire, wait_ms);
}

const char *qmp_version(const struct qmp *q)
{
	return q->version;
}

const struct debug *qmp_debug(const struct qmp *q)
{
	return &q->wire.debug;
}

int qmp_fd(const struct qmp *q)
{
	return q->wire.fd;
}

unsigned int qmp_timeout_ms(const struct qmp *q)
{
	return q->timeout_ms;
}

void qmp_ignore_cancel(struct qmp *q)
{
	q->wire.cancel = NULL;
}
