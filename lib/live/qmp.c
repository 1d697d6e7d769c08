/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp.c - talking to QEMU's monitor
 *
 * Theory of operation.  The socket never blocks; all waiting is done in
 * qmp_tick(), which polls for at most a tenth of a second, so that a cancel
 * function is asked often enough and a time-out is kept.  What comes in is
 * collected until a message is complete.  That is a line, or, from a monitor
 * with pretty=on, all lines from a single "{" to a single "}".
 *
 * Answers are matched by their id.  One with an older id belongs to a command
 * that we gave up on, and is dropped.
 *
 * A monitor serves one client at a time and leaves others in the queue of its
 * socket: connect() works there, but the greeting never comes.
 */
#include "qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"

enum {
	TICK_MS = 100,
	TIMEOUT_MS = 30000,             /* when the caller does not say         */
	DEATH_MS = 500,                 /* from a socket's end to a process's   */
	CHUNK = 64 << 10,
	MESSAGE_MAX = 64 << 20,
};

struct qmp {
	int fd, pidfd;
	pid_t pid;
	unsigned int timeout_ms;
	gdump_cancel_fn *cancel;
	void *cancel_arg;
	json_int_t last_id;
	char *buf;                      /* received and not yet used            */
	size_t len, cap;
	size_t searched;                /* no message ends in front of here     */
	char *refusal;
	bool unknown_command;
	char version[96];
};

/* One wait, for an answer or the greeting */
struct wait {
	const char *what;               /* "its answer to stop"                 */
	unsigned int timeout_ms;
	uint64_t deadline;
	struct qmp_pump *pump;
};

static struct wait wait_begin(const char *what, unsigned int timeout_ms, struct qmp_pump *pump)
{
	return (struct wait){
		.what = what,
		.timeout_ms = timeout_ms,
		.deadline = clock_us() + (uint64_t)timeout_ms * 1000,
		.pump = pump,
	};
}

static struct gdump_error *qmp_gone(const struct qmp *q, const struct wait *w)
{
	if (qmp_process_died(q, DEATH_MS))
		return error_new(GDUMP_ERR_REMOTE,
				 "QEMU (process %d) has died while we waited for %s",
				 (int)q->pid, w->what);
	return error_new(GDUMP_ERR_REMOTE, "QEMU closed the monitor while we waited for %s",
			 w->what);
}

/* Take in what the socket has. */
static struct gdump_error *qmp_receive(struct qmp *q, const struct wait *w)
{
	ssize_t n;

	if (q->cap - q->len < CHUNK) {
		size_t cap = MAX(q->cap * 2, (size_t)2 * CHUNK);
		char *buf = realloc(q->buf, cap);

		if (!buf)
			return error_nomem();
		q->buf = buf;
		q->cap = cap;
	}
	n = recv(q->fd, q->buf + q->len, q->cap - q->len, 0);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return qmp_gone(q, w);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return NULL;
	if (n < 0)
		return error_os(errno, "cannot read from QEMU's monitor");
	q->len += (size_t)n;
	return NULL;
}

/* Wait a little: for @events on the socket, or the pump. */
static struct gdump_error *qmp_tick(struct qmp *q, const struct wait *w, short events,
				    short *happened)
{
	uint64_t now = clock_us();
	struct pollfd p[2] = {
		{ .fd = events ? q->fd : -1, .events = events },
		{ .fd = w->pump ? w->pump->fd : -1, .events = POLLIN },
	};

	*happened = 0;
	if (q->cancel && q->cancel(q->cancel_arg))
		return error_new(GDUMP_ERR_CANCELED, "canceled while waiting for %s", w->what);
	if (now >= w->deadline)
		return error_new(GDUMP_ERR_REMOTE, "QEMU took more than %u.%u s for %s: is it stuck?",
				 w->timeout_ms / 1000, w->timeout_ms % 1000 / 100, w->what);
	if (poll(p, 2, (int)MIN((w->deadline - now) / 1000 + 1, (uint64_t)TICK_MS)) < 0)
		return errno == EINTR ? NULL : error_os(errno, "cannot wait for QEMU's monitor");
	*happened = p[0].revents;
	return p[1].revents ? w->pump->ready(w->pump) : NULL;
}

/* Whether the line that ends at @newline is the last one of a message that a
 * pretty monitor sent.
 */
static bool qmp_ends_pretty(const char *newline)
{
	newline -= newline[-1] == '\r';
	return newline[-1] == '}' && newline[-2] == '\n';
}

/* Length of the message at the start of the buffer, with its newline; 0: it is
 * not complete.
 */
static size_t qmp_message_len(struct qmp *q)
{
	const char *end = q->buf + q->len, *p = q->buf + q->searched;
	bool pretty = q->len > 1 && q->buf[0] == '{' &&
		      (q->buf[1] == '\r' || q->buf[1] == '\n');

	for (; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++) {
		if (!pretty || qmp_ends_pretty(p)) {
			q->searched = 0;
			return (size_t)(p + 1 - q->buf);
		}
	}
	q->searched = q->len > 1 ? q->len : 0;
	return 0;
}

static struct gdump_error *qmp_not_json(const char *text, size_t len)
{
	char start[61];
	size_t n = MIN(len, sizeof(start) - 1);

	for (size_t i = 0; i < n; i++)
		start[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '.';
	start[n] = '\0';
	return error_new(GDUMP_ERR_REMOTE, "this does not speak QMP, it says \"%s\"", start);
}

static bool qmp_is_blank(const char *text, size_t len)
{
	while (len && (*text == '\r' || *text == '\n' || *text == ' ')) {
		text++;
		len--;
	}
	return !len;
}

/* Take the next message out of the buffer.  @len: how long it was; 0: none is
 * complete.  Blank lines are taken out as well and give no @ret.
 */
static struct gdump_error *qmp_take(struct qmp *q, json_t **ret, size_t *len)
{
	struct gdump_error *err = NULL;

	*ret = NULL;
	*len = qmp_message_len(q);
	if (!*len && q->len > MESSAGE_MAX)
		return error_new(GDUMP_ERR_REMOTE, "QEMU sent a message of more than %d MiB",
				 MESSAGE_MAX >> 20);
	if (!*len)
		return NULL;
	*ret = json_loadb(q->buf, *len, JSON_ALLOW_NUL, NULL);
	if (!json_is_object(*ret)) {
		if (!qmp_is_blank(q->buf, *len))
			err = qmp_not_json(q->buf, *len);
		json_decref(*ret);
		*ret = NULL;
	}
	q->len -= *len;
	memmove(q->buf, q->buf + *len, q->len);
	return err;
}

/* Wait for the next message that is not an event. */
static struct gdump_error *qmp_next(struct qmp *q, const struct wait *w, json_t **ret)
{
	struct gdump_error *err;
	short happened;
	size_t len;

	for (;;) {
		err = qmp_take(q, ret, &len);
		if (err || (*ret && !json_object_get(*ret, "event")))
			return err;
		json_decref(*ret);
		if (len)
			continue;
		err = qmp_tick(q, w, POLLIN, &happened);
		if (!err && happened)
			err = qmp_receive(q, w);
		if (err)
			return err;
	}
}

/* Send once, with @fd (-1: none); @sent: how much of it went out. */
static struct gdump_error *qmp_send_some(struct qmp *q, const char *buf, size_t len, int fd,
					 size_t *sent)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t n;

	if (fd >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	n = sendmsg(q->fd, &msg, MSG_NOSIGNAL);
	*sent = n > 0 ? (size_t)n : 0;
	if (n >= 0 || errno == EAGAIN || errno == EINTR)
		return NULL;
	return error_os(errno, "cannot write to QEMU's monitor");
}

static struct gdump_error *qmp_send(struct qmp *q, const struct wait *w, const char *buf,
				    size_t len, int fd)
{
	struct gdump_error *err;
	short happened;
	size_t n;

	while (len) {
		err = qmp_send_some(q, buf, len, fd, &n);
		if (err && (gdump_error_errno(err) == EPIPE ||
			    gdump_error_errno(err) == ECONNRESET)) {
			gdump_error_destroy(err);
			return qmp_gone(q, w);
		}
		if (!err && !n)
			err = qmp_tick(q, w, POLLOUT, &happened);
		if (err)
			return err;
		if (n)
			fd = -1;
		buf += n;
		len -= n;
	}
	return NULL;
}

/* The command as a line of JSON, for free(). */
static struct gdump_error *qmp_compose(struct qmp *q, const struct qmp_command *cmd, char **ret)
{
	CLEANUP_JSON json_t *json = json_pack("{s:s, s:I, s:o*}", "execute", cmd->name,
					      "id", ++q->last_id, "arguments", cmd->args);
	size_t len;
	char *line;

	if (!json)
		return error_nomem();
	len = json_dumpb(json, NULL, 0, JSON_COMPACT);
	line = len ? malloc(len + 2) : NULL;
	if (!line)
		return error_nomem();
	json_dumpb(json, line, len, JSON_COMPACT);
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
		return qmp_odd(command, "is an error without \"desc\"");
	q->unknown_command = class && !strcmp(class, "CommandNotFound");
	q->refusal = strdup(desc);
	if (!q->refusal)
		return error_nomem();
	return error_new(GDUMP_ERR_REMOTE, "QEMU refused %s: %s", command, desc);
}

/* Wait for the answer to the command that was sent last. */
static struct gdump_error *qmp_answer(struct qmp *q, const struct wait *w, const char *command,
				      json_t **ret)
{
	struct gdump_error *err;
	json_t *id, *value;

	for (;;) {
		CLEANUP_JSON json_t *answer = NULL;

		err = qmp_next(q, w, &answer);
		if (err)
			return err;
		id = json_object_get(answer, "id");
		value = json_object_get(answer, "error");
		if (json_is_integer(id) && json_integer_value(id) < q->last_id)
			continue;
		/* without id: QEMU could not even read the command */
		if (value && (!id || json_integer_value(id) == q->last_id))
			return qmp_refused(q, command, value);
		value = json_object_get(answer, "return");
		if (!value || json_integer_value(id) != q->last_id)
			return qmp_odd(command, "is neither an answer to it nor an event");
		*ret = json_incref(value);
		return NULL;
	}
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
	if (!err)
		err = qmp_send(q, &w, line, strlen(line), cmd->sends_fd ? cmd->fd : -1);
	if (!err)
		err = qmp_answer(q, &w, cmd->name, &value);
	if (err)
		return err;
	if (ret)
		*ret = TAKE_PTR(value);
	return NULL;
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
		return qmp_odd(line, "is not a string");
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
		err = qmp_tick(q, &w, 0, &happened);
	return err;
}

struct gdump_error *qmp_odd(const char *command, const char *fmt, ...)
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
		return qmp_odd(command, "has no string \"%s\"", key);
	*ret = json_string_value(value);
	return NULL;
}

struct gdump_error *qmp_get_uint(const json_t *obj, const char *command, const char *key,
				 uint64_t *ret)
{
	const json_t *value = json_object_get(obj, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return qmp_odd(command, "has no number \"%s\"", key);
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
		return qmp_odd("greeting", "has no version: is it QMP?");
	if (package && *package)
		snprintf(q->version, sizeof(q->version), "%d.%d.%d (%s)", major, minor, micro,
			 package);
	else
		snprintf(q->version, sizeof(q->version), "%d.%d.%d", major, minor, micro);
	return NULL;
}

static struct gdump_error *qmp_greet(struct qmp *q)
{
	struct wait w = wait_begin("its greeting", q->timeout_ms, NULL);
	CLEANUP_JSON json_t *greeting = NULL;
	struct gdump_error *err = qmp_next(q, &w, &greeting);

	if (err && gdump_error_code(err) == GDUMP_ERR_REMOTE && clock_us() >= w.deadline) {
		gdump_error_destroy(err);
		return error_new(GDUMP_ERR_REMOTE,
				 "no greeting within %u s: QEMU is stuck, or this monitor is in use "
				 "(by libvirt?), and serves one client at a time: end that one or "
				 "give QEMU a second -qmp", q->timeout_ms / 1000);
	}
	if (!err)
		err = qmp_greeted(q, greeting);
	return err ? err : qmp_execute(q, "qmp_capabilities", NULL, NULL);
}

static struct gdump_error *qmp_connect(struct qmp *q, const char *path)
{
	struct wait w = wait_begin("a place in the queue of its socket", q->timeout_ms, NULL);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct gdump_error *err;
	short happened;

	if (strlen(path) >= sizeof(addr.sun_path))
		return error_new(GDUMP_ERR_USAGE,
				 "the path of a unix socket can have %zu characters: use a shorter "
				 "or a relative one", sizeof(addr.sun_path) - 1);
	strcpy(addr.sun_path, path);
	q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (q->fd < 0)
		return error_os(errno, "cannot make a socket");
	while (connect(q->fd, (struct sockaddr *)&addr, sizeof(addr))) {
		if (errno == ECONNREFUSED)
			return error_new(GDUMP_ERR_REMOTE,
					 "nobody listens on this socket: QEMU has ended, or made it "
					 "for one connection only (use server=on)");
		if (errno != EAGAIN && errno != EINTR)
			return error_os(errno, "cannot connect");
		/* others are waiting as well: look again in a while */
		err = qmp_tick(q, &w, 0, &happened);
		if (err)
			return err;
	}
	return NULL;
}

struct gdump_error *qmp_set_pid(struct qmp *q, pid_t pid)
{
	if (q->pidfd >= 0)
		close(q->pidfd);
	q->pid = pid;
	/* Without a pidfd (before Linux 5.3) messages are less clear, no more. */
	q->pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (pid > 0 && q->pidfd < 0 && errno == ESRCH)
		return error_new(GDUMP_ERR_USAGE, "there is no process %d", (int)pid);
	return NULL;
}

static struct gdump_error *qmp_find_peer(struct qmp *q)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	if (getsockopt(q->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return error_os(errno, "cannot ask who listens on the socket");
	/* the one who made the socket may be gone, and QEMU have got it from it */
	gdump_error_destroy(qmp_set_pid(q, cred.pid));
	return NULL;
}

struct gdump_error *qmp_open(const char *path, const struct gdump_open_options *opt,
			     struct qmp **ret)
{
	CLEANUP_QMP struct qmp *q = calloc(1, sizeof(*q));
	struct gdump_error *err;

	if (!q)
		return error_nomem();
	q->fd = -1;
	q->pidfd = -1;
	q->timeout_ms = opt->timeout_ms ? opt->timeout_ms : TIMEOUT_MS;
	q->cancel = opt->cancel;
	q->cancel_arg = opt->cancel_arg;
	q->cap = 2 * CHUNK;
	q->buf = malloc(q->cap);
	if (!q->buf)
		return error_nomem();
	err = qmp_connect(q, path);
	if (!err)
		err = qmp_find_peer(q);
	if (!err)
		err = qmp_greet(q);
	if (err)
		return err;
	*ret = TAKE_PTR(q);
	return NULL;
}

void qmp_close(struct qmp *q)
{
	if (!q)
		return;
	if (q->fd >= 0)
		close(q->fd);
	if (q->pidfd >= 0)
		close(q->pidfd);
	free(q->buf);
	free(q->refusal);
	free(q);
}

pid_t qmp_pid(const struct qmp *q)
{
	return q->pid;
}

bool qmp_process_died(const struct qmp *q, int wait_ms)
{
	struct pollfd p = { .fd = q->pidfd, .events = POLLIN };

	return q->pidfd >= 0 && poll(&p, 1, wait_ms) > 0;
}

const char *qmp_version(const struct qmp *q)
{
	return q->version;
}

int qmp_fd(const struct qmp *q)
{
	return q->fd;
}

unsigned int qmp_timeout_ms(const struct qmp *q)
{
	return q->timeout_ms;
}

void qmp_ignore_cancel(struct qmp *q)
{
	q->cancel = NULL;
}
