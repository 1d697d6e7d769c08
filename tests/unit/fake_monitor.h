/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * fake_monitor.h - a monitor that says what a test wants
 *
 * It plays a list of steps, one after the other, to whoever connects to ->path;
 * then it waits until the other side hangs up.
 */
#pragma once

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "seed.h"
#include "util/fdpass.h"

struct step {
	const char *expect;             /* in the command; NULL: do not wait for one */
	const char *reply;              /* "@" stands for the command's id           */
	int delay_ms;                   /* before the reply                          */
	size_t flood;                   /* that many times 'x' follow                */
	const char *to_fd;              /* written to the descriptor that came along,
					 * which is then closed                      */
	size_t to_fd_len;
	bool beside;                    /* that is done beside what follows          */
	bool hang_up;                   /* afterwards                                */
};

#define GREETING "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, " \
	"\"major\": 7}, \"package\": \"Fake 1\"}, \"capabilities\": [\"oob\"]}}\r\n"
#define OK "{\"return\": {}, \"id\": @}\r\n"
#define EVENT "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"STOP\"}\r\n"
#define REFUSE(class, desc) "{\"id\": @, \"error\": {\"class\": \"" class "\", \"desc\": \"" desc "\"}}\r\n"

/* What comes first in most tests */
#define STEP_GREET { .reply = GREETING }, { .expect = "qmp_capabilities", .reply = OK }

struct fake {
	char dir[32], path[48];
	int listener, fd;
	pthread_t thread;
	const struct step *steps;
	size_t num_steps;
	const struct step *writing;     /* beside the others; NULL: none             */
	pthread_t writer;
	bool over;                      /* all is played, and the other side gone */
};

/* Read a line; false: the other side has hung up. */
static bool fake_line(int conn, char *line, size_t size, int *fd)
{
	size_t len = 0;

	while (len + 1 < size) {
		if (fd_recv(conn, line + len, 1, fd) != 1)
			return false;
		if (line[len] == '\n' && len)
			break;
		len += line[len] != '\n';
	}
	line[len] = '\0';
	return true;
}

static bool fake_send(int conn, const char *text, size_t len)
{
	ssize_t n;

	for (; len; text += n, len -= (size_t)n) {
		n = send(conn, text, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
	}
	return true;
}

/* Send @reply with the id of @line in it. */
static bool fake_reply(int conn, const char *reply, const char *line)
{
	const char *id = strstr(line, "\"id\":"), *at;
	size_t id_len = 0;

	if (id) {
		id += 5;
		id += *id == ' ';
		id_len = strcspn(id, ",} ");
	}
	for (; (at = strchr(reply, '@')) && id; reply = at + 1)
		if (!fake_send(conn, reply, (size_t)(at - reply)) || !fake_send(conn, id, id_len))
			return false;
	return fake_send(conn, reply, strlen(reply));
}

/* In big pieces: the other side has its time-out also on a busy machine. */
static bool fake_flood(int conn, size_t len)
{
	static const size_t PIECE = 64 << 10;
	char *buf = malloc(PIECE);
	bool sent = true;

	memset(buf, 'x', PIECE);
	for (; sent && len; len -= len < PIECE ? len : PIECE)
		sent = fake_send(conn, buf, len < PIECE ? len : PIECE);
	free(buf);
	return sent;
}

static void *fake_write(void *arg)
{
	struct fake *f = arg;
	const struct step *s = f->writing;

	CHECK_INT(write(f->fd, s->to_fd, s->to_fd_len), s->to_fd_len);
	close(f->fd);
	f->fd = -1;
	return NULL;
}

static bool fake_step(struct fake *f, int conn, const struct step *s)
{
	char line[4096] = "";

	if (s->expect && !fake_line(conn, line, sizeof(line), &f->fd))
		return false;
	if (s->expect && !CHECK(strstr(line, s->expect)))
		fprintf(stderr, "\"%s\" came, not \"%s\"\n", line, s->expect);
	f->writing = s->to_fd ? s : f->writing;
	if (s->to_fd && s->beside)
		CHECK(!pthread_create(&f->writer, NULL, fake_write, f));
	else if (s->to_fd)
		fake_write(f);
	poll(NULL, 0, s->delay_ms);
	if (s->reply && !fake_reply(conn, s->reply, line))
		return false;
	return fake_flood(conn, s->flood) && !s->hang_up;
}

static void *fake_run(void *arg)
{
	struct fake *f = arg;
	int conn = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	char line[4096];
	bool more = true;

	for (size_t i = 0; more && i < f->num_steps; i++)
		more = fake_step(f, conn, &f->steps[i]);
	while (more && fake_line(conn, line, sizeof(line), &f->fd))
		CHECK_STR(line, "nothing more");
	if (conn >= 0)
		close(conn);
	return NULL;
}

/* Who forks does so between these two. */
static void fake_listen(struct fake *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	*f = (struct fake){ .dir = "/tmp/gd-test.XXXXXX", .fd = -1 };
	CHECK(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/qmp", f->dir);
	strcpy(addr.sun_path, f->path);
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(!bind(f->listener, (struct sockaddr *)&addr, sizeof(addr)));
	CHECK(!listen(f->listener, 1));
}

/* As tests/fuzz/monitor.c takes it */
static void fake_keep(const struct step *steps, size_t num_steps)
{
	static const char between[] = "\n%%\n";
	char *text = NULL;
	size_t len;
	FILE *f;

	if (!seed_wanted())
		return;
	f = open_memstream(&text, &len);
	for (size_t i = 0; i < num_steps; i++) {
		if (i && steps[i].expect)
			fputs(between, f);
		if (steps[i].to_fd) {
			fwrite(steps[i].to_fd, 1, steps[i].to_fd_len, f);
			fputs(between, f);
		}
		fputs(steps[i].reply ? steps[i].reply : "", f);
	}
	fclose(f);
	seed_keep("monitor", text, len);
	free(text);
}

static void fake_play(struct fake *f, const struct step *steps, size_t num_steps)
{
	fake_keep(steps, num_steps);
	f->steps = steps;
	f->num_steps = num_steps;
	CHECK(!pthread_create(&f->thread, NULL, fake_run, f));
}

#define FAKE_PLAY(f, ...) do {                                                \
	static const struct step steps_[] = { __VA_ARGS__ };                  \
	fake_play(f, steps_, sizeof(steps_) / sizeof(*steps_));               \
} while (0)
#define FAKE_START(f, ...) do {                                               \
	fake_listen(f);                                                       \
	FAKE_PLAY(f, __VA_ARGS__);                                            \
} while (0)

static void fake_wait(struct fake *f)
{
	if (!f->over)
		pthread_join(f->thread, NULL);
	if (!f->over && f->writing && f->writing->beside)
		pthread_join(f->writer, NULL);
	f->over = true;
}

static void fake_end(struct fake *f)
{
	fake_wait(f);
	close(f->listener);
	if (f->fd >= 0)
		close(f->fd);
	unlink(f->path);
	rmdir(f->dir);
}
