/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * guard.c - resume a guest when the process that paused it is gone
 *
 * Theory of operation.  This runs in a process of its own, forked before any
 * threads, and holds a copy of the monitor's connection while the guest is
 * paused.  That keeps the connection alive when the other process is killed, so
 * that nobody else can take the monitor first, and QEMU still listens to it.
 *
 * Messages on the control socket begin with a letter:
 *
 *     P  the guest is about to be paused; with the connection, answered with 'G'
 *     Z  stop the process that runs the guest (see process_pause.c): answered with 'G', or 'X'
 *        and an error
 *     A  memory of that process, which it is about to get a userfaultfd(2) for
 *     W  make the process have one: answered with 'G' and the descriptor, or 'X' and an error
 *     R  it runs again; after Z, resume the process: answered with 'R'
 *     U  a setting is about to be changed: what follows puts it back, a command
 *        without its braces; with the connection, answered with 'G'
 *     N  the setting has been put back
 *     S  a snapshot, or a protected guest's dump, is about to come out of the pipe that
 *        goes along; what follows is as for P, and the name that QEMU has for the other end
 *     C  the same of a dump that QEMU may be left to break off; for a guest of libvirt, of which
 *        there is no connection, it is all that the guard gets
 *     E  it is over, and so is W
 *     H  the other process makes progress
 *
 * When the socket ends, the other process is gone: then, in this order, that pipe is
 * read to its end, what waits for the userfaultfd continues, the guest is resumed and the setting is put back.  A signal of a
 * terminal or a service manager that ends the other process must not end us.
 *
 * A process that is there may be stopped, or stuck. When we hear nothing from it for too
 * long, or its pause takes too long, we do the same: 'T' and a reason to the other process, so that it
 * does not count on what it reads from then on; then 'D' and the microsecond of clock_us() when the
 * guest was resumed, or 'F' if it could not be.
 *
 * The other process may have died in the middle of a line, so ours begins with
 * a newline, and, when that was not answered, with a byte that is no part of
 * any JSON, by which QEMU drops what it has so far (see QEMU's qmp-spec).
 * Answers to the other process are ignored.
 */
#include <errno.h>
#include <guestdump.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../util/array.h"
#include "../util/clock.h"
#include "../util/cleanup.h"
#include "../util/fdpass.h"
#include "freezer.h"
#include "guest.h"
#include "remote_uffd.h"
#include "uffd.h"

enum {
	GUARD_US = 20000000,            /* for each command                     */
	ANSWER_MS = 2000,
	DRAIN_MS = 30000,               /* for more of a snapshot               */
	RETRY_MS = 50,                  /* while a dump is about to end         */
	MAX_UNDO = 256,                 /* bytes of a command, and a NUL        */
	WATCH_MS = 1000,                /* how often the other process is looked at */
	STOPPED_MS = 10000,             /* for it to be continued               */
	GRACE_MS = 5000,                /* for it to resume the guest itself    */
};

enum guard_answer { DONE, REFUSED, BUSY, SILENT };

/* Lines of the monitor; only the start of a long one is kept. */
struct lines {
	char line[4096];
	size_t len;
};

static void guard_leave_session(int fd)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_IGN);
	setsid();
	/* a reader of our parent's pipes waits until nobody has them open */
	if (fd > 0)
		close_range(0, (unsigned int)fd - 1, 0);
	close_range((unsigned int)fd + 1, UINT_MAX, 0);
}

/* The next message, as a string; @got is what came with it, or -1.  False: the end */
static bool guard_receive(int fd, char *text, size_t size, int *got)
{
	ssize_t n;

	*got = -1;
	do {
		n = fd_recv(fd, text, size - 1, got);
	} while (n < 0 && errno == EINTR);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static void guard_keep(int *fd, int got)
{
	if (*fd >= 0)
		close(*fd);
	*fd = got;
}

/* Read what QEMU writes to its end: a snapshot that breaks off leaves the guest's memory
 * write-protected, a protected guest's dump its CPUs blocked, and the guest hangs; and libvirt
 * resumes a guest when its dump is complete.
 */
static void guard_drain(int pipe, uint64_t *last_us)
{
	struct pollfd p = { .fd = pipe, .events = POLLIN };
	char buf[65536];
	ssize_t n;

	*last_us = clock_us();

	/* the process that is gone may have set O_NONBLOCK */
	while (poll(&p, 1, DRAIN_MS) > 0) {
		n = read(pipe, buf, sizeof(buf));
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
			break;
		if (n > 0)
			*last_us = clock_us();
	}
}

/* Write all, or not: then the answer will not come. */
static void guard_send(int monitor, const char *line)
{
	struct pollfd p = { .fd = monitor, .events = POLLOUT };
	size_t len = strlen(line);

	while (len && poll(&p, 1, ANSWER_MS) > 0) {
		ssize_t n = send(monitor, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return;
		line += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

static enum guard_answer guard_parse(const char *line)
{
	/* "return" or "error" may come in any order with the id */
	if (!strstr(line, "\"" QMP_GUARD_ID "\""))
		return SILENT;
	if (strstr(line, "\"return\""))
		return DONE;
	/* a dump, or a migration that is about to end */
	return strstr(line, "in pro") ? BUSY : REFUSED;
}

/* Take one more byte in; a whole line may be the answer. */
static enum guard_answer guard_byte(struct lines *l, char c)
{
	enum guard_answer answer = SILENT;

	if (c != '\n') {
		if (l->len < sizeof(l->line) - 1)
			l->line[l->len++] = c;
		return SILENT;
	}
	l->line[l->len] = '\0';
	answer = guard_parse(l->line);
	l->len = 0;
	return answer;
}

/* Wait for the answer to our cont. */
static enum guard_answer guard_await(int monitor, struct lines *l)
{
	struct pollfd p = { .fd = monitor, .events = POLLIN };
	uint64_t end = clock_us() + ANSWER_MS * 1000, now;
	enum guard_answer answer = SILENT;
	char buf[4096];
	ssize_t n;

	while (answer == SILENT && (now = clock_us()) < end) {
		if (poll(&p, 1, (int)((end - now) / 1000 + 1)) <= 0)
			continue;
		n = recv(monitor, buf, sizeof(buf), MSG_DONTWAIT);
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
			return REFUSED;         /* QEMU is gone, and the guest with it */
		for (ssize_t i = 0; i < n && answer == SILENT; i++)
			answer = guard_byte(l, buf[i]);
	}
	return answer;
}

/* Have QEMU run @line, which begins with a newline: 0, or 1 when it did not. */
static int guard_command(int monitor, const char *line)
{
	static const char reset[] = "\xff";
	uint64_t end = clock_us() + GUARD_US;
	enum guard_answer answer;
	struct lines lines = { .len = 0 };

	do {
		guard_send(monitor, line);
		answer = guard_await(monitor, &lines);
		if (answer == BUSY)
			poll(NULL, 0, RETRY_MS);
		if (answer == SILENT)
			guard_send(monitor, reset);
	} while ((answer == BUSY || answer == SILENT) && clock_us() < end);
	return answer != DONE;
}

/* Have QEMU run a command: 0, or 1 when it did not. */
static int guard_execute(int monitor, const char *command)
{
	char line[MAX_UNDO + 64];

	snprintf(line, sizeof(line), "\n{%s,\"id\":\"" QMP_GUARD_ID "\"}\n", command);
	return guard_command(monitor, line);
}

/* What has to be done when the other process is gone */
struct guard {
	int monitor, pipe;              /* -1: none                             */
	bool paused;                    /* the guest                            */
	bool by_process;                /* its process was stopped, without a monitor */
	struct freezer *freezer;        /* NULL: that runs                      */
	int uffd;                       /* of that process; -1: none            */
	struct uffdio_range *ranges;    /* of its memory, for that              */
	size_t num_ranges;
	int pid;                        /* of the other process                 */
	unsigned int stall_ms, max_ms;  /* see struct pause_limit               */
	uint64_t pause_us, heard_us, stopped_us;        /* since when; 0: it is not */
	char pipe_name[64];
	uint64_t drained_us;            /* when the last byte of the pipe was read */
	bool may_break;                 /* if nobody has the pipe open any more */
	char undo[MAX_UNDO];            /* "": no setting is changed            */
};

static void guard_forget_monitor(struct guard *g)
{
	if (!g->paused && !g->undo[0])
		guard_keep(&g->monitor, -1);
}

/* Stop a process, as a message asks. */
static void guard_freeze(struct guard *g, int control, const char *text)
{
	CLEANUP_ERROR struct gdump_error *err = NULL;
	char answer[512] = "G";
	int victim;

	if (g->freezer || sscanf(text, "Z%d %d %u %u", &victim, &g->pid, &g->stall_ms, &g->max_ms) != 4)
		return;
	err = freezer_open(victim, &g->freezer);
	if (err)
		snprintf(answer, sizeof(answer), "X%d %s", (int)gdump_error_code(err),
			 gdump_error_message(err));
	g->by_process = true;
	g->paused = !err;
	g->pause_us = g->heard_us = clock_us();
	send(control, answer, strlen(answer), MSG_NOSIGNAL);
}

/* Whether the guest waits, or may have to, for the other process */
static bool guard_is_needed(const struct guard *g)
{
	return g->paused || g->pipe >= 0 || g->uffd >= 0;
}

static void guard_add_range(struct guard *g, const char *text)
{
	uint64_t start, size;

	if (sscanf(text, "A%" SCNx64 " %" SCNx64, &start, &size) == 2 &&
	    ARRAY_GROW(g->ranges, g->num_ranges))
		g->ranges[g->num_ranges++] = (struct uffdio_range){ start, size };
}

/* Have the process that is stopped make a userfaultfd. */
static void guard_make_uffd(struct guard *g, int control)
{
	CLEANUP_ERROR struct gdump_error *err = NULL;
	char answer[512] = "G";
	int fd = -1;

	err = g->freezer ? freezer_call(g->freezer, remote_uffd_create, &fd) :
			   error_new(GDUMP_ERR_REMOTE, "the guest was resumed");
	if (err)
		snprintf(answer, sizeof(answer), "X%d %s", (int)gdump_error_code(err),
			 gdump_error_message(err));
	guard_keep(&g->uffd, fd);
	fd_send(control, answer, strlen(answer), fd);
}

static void guard_forget_uffd(struct guard *g)
{
	guard_keep(&g->uffd, -1);
	free(g->ranges);
	g->ranges = NULL;
	g->num_ranges = 0;
}

/* Nobody will serve the threads that wait, and others that write: remove the protection. */
static void guard_end_uffd(struct guard *g)
{
	for (size_t i = 0; g->uffd >= 0 && i < g->num_ranges; i++)
		uffd_unregister(g->uffd, g->ranges[i].start, g->ranges[i].len);
	guard_forget_uffd(g);
}

/* The guest is to run: one that is paused by its monitor does. */
static void guard_thaw(struct guard *g, int control)
{
	g->paused = false;
	if (!g->by_process)
		return;
	freezer_close(TAKE_PTR(g->freezer));
	send(control, "R", 1, MSG_NOSIGNAL);
}

/* @text: a letter and what follows it, NUL-terminated; @fd came along, or is -1. */
static void guard_note(struct guard *g, int control, const char *text, int fd)
{
	g->heard_us = clock_us();
	switch (text[0]) {
	case 'H':
		return;
	case 'Z':
		guard_freeze(g, control, text);
		return;
	case 'A':
		guard_add_range(g, text);
		return;
	case 'W':
		guard_make_uffd(g, control);
		return;
	case 'P':
		g->paused = true;
		g->pause_us = clock_us();
		if (sscanf(text, "P%d %u %u", &g->pid, &g->stall_ms, &g->max_ms) != 3)
			g->pid = 0;
		break;
	case 'U':
		strcpy(g->undo, text + 1);
		break;
	case 'R':
		guard_thaw(g, control);
		guard_forget_monitor(g);
		return;
	case 'N':
		g->undo[0] = '\0';
		guard_forget_monitor(g);
		return;
	case 'S': case 'C':
		g->may_break = text[0] == 'C';
		if (sscanf(text + 1, "%d %u %u %63s", &g->pid, &g->stall_ms, &g->max_ms, g->pipe_name) != 4)
			g->pid = 0;
		guard_keep(&g->pipe, fd);
		return;
	case 'E':
		guard_keep(&g->pipe, fd);
		guard_forget_uffd(g);
		return;
	}
	guard_keep(&g->monitor, fd);
	send(control, "G", 1, MSG_NOSIGNAL);
}

/* Resume the guest; put back what was changed.  @gone: the other process is */
static int guard_act(struct guard *g, bool gone)
{
	char close_it[128];
	int ret = 0;

	if (g->pipe >= 0 && g->monitor >= 0) {
		/* QEMU has its end still if it was not asked to begin */
		snprintf(close_it, sizeof(close_it),
			 "\"execute\":\"closefd\",\"arguments\":{\"fdname\":\"%s\"}", g->pipe_name);
		guard_execute(g->monitor, close_it);
	}
	if (g->pipe >= 0 && gone && g->may_break)
		guard_keep(&g->pipe, -1);
	if (g->pipe >= 0)
		guard_drain(g->pipe, &g->drained_us);
	guard_end_uffd(g);
	if (g->freezer)
		freezer_close(TAKE_PTR(g->freezer));
	else if (g->paused)
		ret = guard_execute(g->monitor, "\"execute\":\"cont\"");
	if (g->undo[0])
		ret |= guard_execute(g->monitor, g->undo);
	return ret;
}

/* Whether process @pid is stopped by a signal; one that is being debugged is not. */
static bool guard_is_stopped(int pid)
{
	char path[32], line[256];
	const char *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f))
		line[0] = '\0';
	if (f)
		fclose(f);
	state = strrchr(line, ')');
	return state && state[1] == ' ' && state[2] == 'T';
}

/* Why the guest must not wait any longer for a process that is there; false: it may. */
static bool guard_is_overdue(struct guard *g, char *why, size_t size)
{
	const uint64_t now = clock_us();

	if (!guard_is_stopped(g->pid))
		g->stopped_us = 0;
	else if (!g->stopped_us)
		g->stopped_us = now;
	if (g->stopped_us && now - g->stopped_us >= STOPPED_MS * 1000ULL)
		snprintf(why, size, "Tguestdump was stopped for %.1f s", (double)(now - g->stopped_us) / 1e6);
	else if (now - g->heard_us >= (g->stall_ms + (uint64_t)GRACE_MS) * 1000)
		snprintf(why, size, "Tthere was no progress for %.1f s", (double)(now - g->heard_us) / 1e6);
	else if (g->paused && g->max_ms && now - g->pause_us >= (g->max_ms + 2ULL * GRACE_MS) * 1000)
		snprintf(why, size, "Tthe pause took longer than %.1f s", (double)g->max_ms / 1e3);
	else
		return false;
	return true;
}

/* The other process is there, but it may be too long since it did something. */
static void guard_watch(struct guard *g, int control)
{
	char why[96], outcome[32] = "F";
	int failed;

	if (!g->pid || !guard_is_needed(g) || !guard_is_overdue(g, why, sizeof(why)))
		return;
	send(control, why, strlen(why), MSG_NOSIGNAL | MSG_DONTWAIT);
	failed = guard_act(g, false);
	if (!failed)
		snprintf(outcome, sizeof(outcome), "D%" PRIu64, g->paused ? clock_us() : g->drained_us);
	send(control, outcome, strlen(outcome), MSG_NOSIGNAL | MSG_DONTWAIT);
	g->heard_us = clock_us();
	if (failed)
		return;
	g->paused = false;
	g->undo[0] = '\0';
	guard_keep(&g->pipe, -1);
	guard_forget_monitor(g);
}

/* Wait for a message, and meanwhile watch the other process while a guest waits for it. */
static void guard_wait(struct guard *g, int control)
{
	struct pollfd p = { .fd = control, .events = POLLIN };

	do {
		guard_watch(g, control);
	} while (poll(&p, 1, guard_is_needed(g) ? WATCH_MS : -1) <= 0);
}

int gdump_guard(int fd)
{
	struct guard g = { .monitor = -1, .pipe = -1, .uffd = -1 };
	char text[1 + MAX_UNDO];
	int got;

	guard_leave_session(fd);
	do {
		guard_wait(&g, fd);
		if (!guard_receive(fd, text, sizeof(text), &got))
			break;
		guard_note(&g, fd, text, got);
	} while (true);
	/* the connection ends with this process */
	return guard_act(&g, true);
}
