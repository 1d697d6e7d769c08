/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * wire.c - the connection under qmp.c: messages in and out, with time-outs
 *
 * Theory of operation.  The socket never blocks; all waiting is done in
 * wire_tick(), which polls for at most a tenth of a second, so that a cancel
 * function is asked often enough and a time-out is kept.  What comes in is
 * collected until a message is complete.  That is a line, or, from a monitor
 * with pretty=on, all lines from a single "{" to a single "}".
 */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "../util/fdpass.h"

enum {
	TICK_MS = 100,
	DEATH_MS = 500,                 /* from a socket's end to a process's   */
	CHUNK = 4 << 10,                /* there may be hundreds of connections */
	MESSAGE_MAX = 64 << 20,
	LOG_MAX = 500,                  /* characters of a message in the log   */
};

struct wait wait_begin(const char *what, unsigned int timeout_ms, struct qmp_pump *pump)
{
	return (struct wait){
		.what = what,
		.timeout_ms = timeout_ms,
		.deadline = clock_us() + (uint64_t)timeout_ms * 1000,
		.pump = pump,
	};
}

bool wait_is_over(const struct wait *w)
{
	return clock_us() >= w->deadline;
}

static struct gdump_error *wire_gone(const struct wire *w, const struct wait *wait)
{
	if (wire_peer_died(w, DEATH_MS))
		return error_new(GDUMP_ERR_REMOTE,
				 "QEMU (process %d) has died while we waited for %s",
				 (int)w->pid, wait->what);
	return error_new(GDUMP_ERR_REMOTE, "QEMU closed the monitor while we waited for %s",
			 wait->what);
}

/* Take in what the socket has. */
static struct gdump_error *wire_receive(struct wire *w, struct wait *wait)
{
	ssize_t n;

	if (w->cap - w->len < CHUNK) {
		size_t cap = MAX(w->cap * 2, (size_t)2 * CHUNK);
		char *buf = realloc(w->buf, cap);

		if (!buf)
			return error_nomem();
		w->buf = buf;
		w->cap = cap;
	}
	n = recv(w->fd, w->buf + w->len, w->cap - w->len, 0);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return wire_gone(w, wait);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return NULL;
	if (n < 0)
		return error_os(errno, "cannot read from QEMU's monitor");
	w->len += (size_t)n;
	return NULL;
}

struct gdump_error *wire_tick(struct wire *w, struct wait *wait, short events,
			      short *happened)
{
	uint64_t now = clock_us();
	struct pollfd p[2] = {
		{ .fd = events ? w->fd : -1, .events = events },
		{ .fd = wait->pump ? wait->pump->fd : -1, .events = POLLIN },
	};

	*happened = 0;
	if (w->cancel && w->cancel(w->cancel_arg))
		return error_new(GDUMP_ERR_CANCELED, "canceled while waiting for %s", wait->what);
	if (now >= wait->deadline)
		return error_new(GDUMP_ERR_REMOTE,
				 "QEMU took more than %u.%u s for %s: is it stuck?",
				 wait->timeout_ms / 1000, wait->timeout_ms % 1000 / 100,
				 wait->what);
	if (poll(p, 2, (int)MIN((wait->deadline - now) / 1000 + 1, (uint64_t)TICK_MS)) < 0)
		return errno == EINTR ? NULL : error_os(errno, "cannot wait for QEMU's monitor");
	*happened = p[0].revents;
	return p[1].revents ? wait->pump->ready(wait->pump) : NULL;
}

/* A message as a line of the debug log, cut if it is long */
static void wire_log(const struct wire *w, const char *to, const char *text, size_t len)
{
	char line[LOG_MAX + 1];
	size_t n;

	while (len && strchr("\r\n", text[len - 1]))
		len--;
	n = MIN(len, (size_t)LOG_MAX);
	for (size_t i = 0; i < n; i++)
		line[i] = (unsigned char)text[i] < ' ' ? ' ' : text[i];
	line[n] = '\0';
	debug_log(&w->debug, GDUMP_DEBUG_DETAIL, "%s QEMU: %s%s", to, line, n < len ? "..." : "");
}

/* Whether the line that ends at @newline is the last one of a message that a
 * pretty monitor sent.
 */
static bool wire_ends_pretty(const char *newline)
{
	newline -= newline[-1] == '\r';
	return newline[-1] == '}' && newline[-2] == '\n';
}

/* Length of the message at the start of the buffer, with its newline; 0: it is
 * not complete.
 */
static size_t wire_message_len(struct wire *w)
{
	const char *end = w->buf + w->len, *p = w->buf + w->searched;
	bool pretty = w->len > 1 && w->buf[0] == '{' &&
		      (w->buf[1] == '\r' || w->buf[1] == '\n');

	for (; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++) {
		if (!pretty || wire_ends_pretty(p)) {
			w->searched = 0;
			return (size_t)(p + 1 - w->buf);
		}
	}
	w->searched = w->len > 1 ? w->len : 0;
	return 0;
}

static struct gdump_error *wire_not_json(const char *text, size_t len)
{
	char start[61];
	size_t n = MIN(len, sizeof(start) - 1);

	for (size_t i = 0; i < n; i++)
		start[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '.';
	start[n] = '\0';
	return error_new(GDUMP_ERR_REMOTE, "this does not speak QMP, it says \"%s\"", start);
}

static bool wire_is_blank(const char *text, size_t len)
{
	while (len && (*text == '\r' || *text == '\n' || *text == ' ')) {
		text++;
		len--;
	}
	return !len;
}

/* Whether what has come is not the start of a message, as the prompt of a console, which has no
 * newline
 */
static bool wire_is_foreign(const struct wire *w)
{
	for (size_t i = 0; i < w->len; i++) {
		if (!wire_is_blank(w->buf + i, 1))
			return w->buf[i] != '{';
	}
	return false;
}

/* Take the next message out of the buffer.  @len: how long it was; 0: none is
 * complete.  Blank lines are taken out as well and give no @ret.
 */
static struct gdump_error *wire_take(struct wire *w, json_t **ret, size_t *len)
{
	struct gdump_error *err = NULL;
	json_error_t why;

	*ret = NULL;
	*len = wire_message_len(w);
	if (!*len && wire_is_foreign(w))
		return wire_not_json(w->buf, w->len);
	if (!*len && w->len > MESSAGE_MAX)
		return error_new(GDUMP_ERR_REMOTE, "QEMU sent a message of more than %d MiB",
				 MESSAGE_MAX >> 20);
	if (!*len)
		return NULL;
	*ret = json_loadb(w->buf, *len, JSON_ALLOW_NUL, &why);
	/* a string that there is no memory for is called nonsense: that would be so again */
	if (!*ret)
		*ret = json_loadb(w->buf, *len, JSON_ALLOW_NUL, &why);
	/* it says nothing where it had no memory for an object */
	if (!*ret && (!why.text[0] || json_error_code(&why) == json_error_out_of_memory))
		return error_nomem();
	if (*ret && w->debug.fn)
		wire_log(w, "from", w->buf, *len);
	if (!json_is_object(*ret)) {
		if (!wire_is_blank(w->buf, *len))
			err = wire_not_json(w->buf, *len);
		json_decref(*ret);
		*ret = NULL;
	}
	w->len -= *len;
	memmove(w->buf, w->buf + *len, w->len);
	return err;
}

static uint64_t event_us(const json_t *event)
{
	json_int_t seconds = 0, us = 0;

	if (json_unpack((json_t *)(uintptr_t)event, "{s:{s:I, s:I}}", "timestamp",
			"seconds", &seconds, "microseconds", &us))
		return 0;
	return (uint64_t)seconds * 1000000 + (uint64_t)us;
}

/* For ourselves, of the events only those matter that show how long the guest is paused. */
static void wire_note(struct wire *w, const json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	const uint64_t now = event_us(event);

	if (name && w->event)
		w->event(w->event_arg, event);
	if (name && !strcmp(name, "STOP"))
		w->stop_us = now;
	if (!name || strcmp(name, "RESUME"))
		return;
	if (w->stop_us && w->stop_us < now)
		w->stopped_us += now - w->stop_us;
	w->stop_us = 0;
}

struct gdump_error *wire_next(struct wire *w, struct wait *wait, json_t **ret)
{
	struct gdump_error *err;
	short happened;
	size_t len;

	for (;;) {
		err = wire_take(w, ret, &len);
		if (err || (*ret && !json_object_get(*ret, "event")))
			return err;
		wire_note(w, *ret);
		json_decref(*ret);
		if (len)
			continue;
		err = wire_tick(w, wait, POLLIN, &happened);
		if (!err && happened)
			err = wire_receive(w, wait);
		if (err)
			return err;
	}
}

/* The messages in the buffer */
static struct gdump_error *wire_take_events(struct wire *w)
{
	struct gdump_error *err = NULL;

	for (size_t len = 1; !err && len;) {
		json_t *message = NULL;

		err = wire_take(w, &message, &len);
		wire_note(w, message);
		json_decref(message);
	}
	return err;
}

struct gdump_error *wire_listen(struct wire *w)
{
	struct wait none = wait_begin("events", 0, NULL);
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	struct gdump_error *err = wire_take_events(w);

	while (!err && poll(&p, 1, 0) > 0) {
		err = wire_receive(w, &none);
		if (!err)
			err = wire_take_events(w);
	}
	return err;
}

struct gdump_error *wire_send(struct wire *w, struct wait *wait, const char *line, int fd)
{
	struct gdump_error *err = NULL;
	size_t len = strlen(line);
	short happened;
	ssize_t n;

	if (len && w->debug.fn)
		wire_log(w, "to", line, len);
	while (!err && len) {
		n = fd_send(w->fd, line, len, fd);
		if (n > 0) {
			fd = -1;
			line += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN || errno == EINTR) {
			err = wire_tick(w, wait, POLLOUT, &happened);
		} else if (errno == EPIPE || errno == ECONNRESET) {
			err = wire_gone(w, wait);
		} else {
			err = error_os(errno, "cannot write to QEMU's monitor");
		}
	}
	return err;
}

static struct gdump_error *wire_find_peer(struct wire *w)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	if (getsockopt(w->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return error_os(errno, "cannot ask who listens on the socket");
	/* the one who made the socket may be gone, and QEMU have got it from it */
	gdump_error_destroy(wire_set_pid(w, cred.pid));
	return NULL;
}

/* A path that cannot be QEMU's socket */
static struct gdump_error *wire_check_path(const char *path)
{
	struct sockaddr_un addr;
	struct stat st;

	if (!*path)
		return error_new(GDUMP_ERR_USAGE,
				 "the name of the socket is missing, as in qmp:/run/vm.sock");
	if (strlen(path) >= sizeof(addr.sun_path))
		return error_new(GDUMP_ERR_USAGE,
				 "the path of a unix socket can have %zu characters: use a shorter "
				 "or a relative one", sizeof(addr.sun_path) - 1);
	if (!stat(path, &st) && !S_ISSOCK(st.st_mode))
		return error_new(GDUMP_ERR_USAGE, "this is a %s, not a socket of QEMU",
				 S_ISDIR(st.st_mode) ? "directory" :
				 S_ISREG(st.st_mode) ? "file" : "device or a pipe");
	return NULL;
}

static struct gdump_error *wire_prepare(struct wire *w, const char *path)
{
	struct gdump_error *err = wire_check_path(path);

	if (err)
		return err;
	w->cap = 2 * CHUNK;
	w->buf = malloc(w->cap);
	if (!w->buf)
		return error_nomem();
	w->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return w->fd < 0 ? error_os(errno, "cannot create a socket") : NULL;
}

struct gdump_error *wire_connect(struct wire *w, const char *path, struct wait *wait)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct gdump_error *err = w->fd < 0 ? wire_prepare(w, path) : NULL;
	short happened;

	if (err)
		return err;
	strcpy(addr.sun_path, path);
	while (connect(w->fd, (struct sockaddr *)&addr, sizeof(addr))) {
		if (errno == ECONNREFUSED)
			return error_new(GDUMP_ERR_REMOTE,
					 "no process listens on this socket: QEMU has ended, or "
					 "accepts one connection only (use server=on)");
		if (errno != EAGAIN && errno != EINTR)
			return error_os(errno, "cannot connect");
		/* other clients are waiting too: retry later */
		err = wire_tick(w, wait, 0, &happened);
		if (err)
			return err;
	}
	return wire_find_peer(w);
}

void wire_close(struct wire *w)
{
	if (w->fd >= 0)
		close(w->fd);
	if (w->pidfd >= 0)
		close(w->pidfd);
	free(w->buf);
}

bool wire_peer_died(const struct wire *w, int wait_ms)
{
	struct pollfd p = { .fd = w->pidfd, .events = POLLIN };

	return w->pidfd >= 0 && poll(&p, 1, wait_ms) > 0;
}

struct gdump_error *wire_set_pid(struct wire *w, pid_t pid)
{
	if (w->pidfd >= 0)
		close(w->pidfd);
	w->pid = pid;
	/* Without a pidfd (before Linux 5.3) messages are less clear, no more. */
	w->pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (pid > 0 && w->pidfd < 0 && errno == ESRCH)
		return error_new(GDUMP_ERR_USAGE, "there is no process %d", (int)pid);
	return NULL;
}
