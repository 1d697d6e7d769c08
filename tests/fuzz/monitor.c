/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * monitor.c - a QEMU that says anything
 *
 * The input is what it says, in pieces with "\n%%\n" between them: first the greeting,
 * then one for each command; '@' is the command's id.  For a dump into a descriptor that
 * it was given, one piece goes there first.  When there are no more, QEMU refuses.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <guestdump.h>

#include "fuzz.h"
#include "live/mtree.h"
#include "util/fdpass.h"

enum {
	TIMEOUT_MS = 10,
	MAX_PAGES = 1 << 10,    /* of a guest that is read as a whole           */
};

struct monitor {
	int listener, conn;
	int fd;                 /* that came with a command, or -1              */
	const char *next;       /* what is still to be said; NULL: nothing      */
	size_t left;
};

struct piece {
	const char *text;
	size_t len;
};

static struct piece next_piece(struct monitor *m)
{
	static const char refusal[] =
		"{\"id\": @, \"error\": {\"class\": \"GenericError\", \"desc\": \"no more\"}}\r\n";
	struct piece piece = { m->next, m->left };
	const char *end;

	if (!m->next)
		return (struct piece){ refusal, sizeof(refusal) - 1 };
	end = memmem(m->next, m->left, "\n%%\n", 4);
	m->next = end ? end + 4 : NULL;
	if (end) {
		piece.len = (size_t)(end + 1 - piece.text);
		m->left -= piece.len + 3;
	}
	return piece;
}

static void say(struct monitor *m, const char *id)
{
	struct piece piece = next_piece(m);
	const char *at;

	while (piece.len && (at = memchr(piece.text, '@', piece.len))) {
		send(m->conn, piece.text, (size_t)(at - piece.text), MSG_NOSIGNAL);
		send(m->conn, id, strcspn(id, ",} "), MSG_NOSIGNAL);
		piece.len -= (size_t)(at + 1 - piece.text);
		piece.text = at + 1;
	}
	send(m->conn, piece.text, piece.len, MSG_NOSIGNAL);
	send(m->conn, "\n", 1, MSG_NOSIGNAL);
}

/* What QEMU dumps */
static void fill_descriptor(struct monitor *m)
{
	struct piece piece = next_piece(m);
	ssize_t n;

	while (piece.len && (n = write(m->fd, piece.text, piece.len)) > 0) {
		piece.text += n;
		piece.len -= (size_t)n;
	}
	close(m->fd);
	m->fd = -1;
}

/* Read a command; false: the other side has hung up. */
static bool hear(struct monitor *m, char *line, size_t size)
{
	size_t len = 0;
	int fd = -1;

	while (len + 1 < size && fd_recv(m->conn, line + len, 1, &fd) == 1 && line[len] != '\n')
		len++;
	if (fd >= 0 && m->fd >= 0)
		close(m->fd);
	m->fd = fd >= 0 ? fd : m->fd;
	line[len] = '\0';
	return len;
}

static void *play(void *arg)
{
	struct monitor *m = arg;
	char line[4096];
	const char *id;

	m->conn = accept4(m->listener, NULL, NULL, SOCK_CLOEXEC);
	say(m, "");
	while (hear(m, line, sizeof(line))) {
		if (m->fd >= 0 && strstr(line, "\"dump-guest-memory\""))
			fill_descriptor(m);
		id = strstr(line, "\"id\":");
		say(m, id ? id + 5 : "");
	}
	if (m->fd >= 0)
		close(m->fd);
	close(m->conn);
	return NULL;
}

/* A process that has ended and is not waited for: nobody waits to see whether it will. */
static pid_t dead_process(void)
{
	static pid_t pid;

	if (!pid)
		pid = fork();
	if (!pid)
		_exit(0);
	return pid;
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1))
		fuzz_die("cannot listen at %s", path);
	return fd;
}

static bool is_good(struct gdump_error *err)
{
	fuzz_look(err ? gdump_error_message(err) : "", 1);
	gdump_error_destroy(err);
	return !err;
}

static void warn(void *arg, const char *message)
{
	(void)arg;
	fuzz_look(message, strlen(message));
}

static void use(const char *where, bool pause)
{
	const struct gdump_open_options opt = {
		.size = sizeof(opt), .pause_guest = pause, .timeout_ms = TIMEOUT_MS, .warn = warn,
	};
	const struct gdump_write_options write = {
		.size = sizeof(write), .threads = 1, .format = "elf",
	};
	struct gdump *g;

	if (!is_good(gdump_open(where, &opt, &g)))
		return;
	if (gdump_info(g)->num_pages <= MAX_PAGES)
		is_good(gdump_write(g, NULL, "-", &write));
	is_good(gdump_resume(g));
	gdump_close(g);
}

void fuzz_monitor(const uint8_t *data, size_t size)
{
	static char dir[] = "/tmp/guestdump-fuzz.XXXXXX", path[64], where[96];
	static struct monitor monitor;
	pthread_t thread;

	if (!path[0]) {
		if (!mkdtemp(dir))
			fuzz_die("no directory in /tmp");
		snprintf(path, sizeof(path), "%s/qmp", dir);
		snprintf(where, sizeof(where), "qmp:%s,pid=%d", path, (int)dead_process());
		monitor.listener = listen_at(path);
		if (!freopen("/dev/null", "w", stdout))
			fuzz_die("no /dev/null");
	}
	monitor.fd = -1;
	monitor.next = (const char *)data;
	monitor.left = size;
	if (pthread_create(&thread, NULL, play, &monitor))
		fuzz_die("no thread");
	use(where, size % 4);
	pthread_join(thread, NULL);
}

void fuzz_mtree(const uint8_t *data, size_t size)
{
	const struct gdump_open_options opt = { .size = sizeof(opt), .warn = warn };
	char *text = strndup((const char *)data, size);
	struct mtree tree = { 0 };
	struct gdump_error *err = mtree_parse(text, &opt, &tree);

	for (size_t i = 0; !err && i < tree.num_ranges; i++)
		fuzz_look(tree.ranges[i].name, strlen(tree.ranges[i].name));
	if (!err)
		mtree_deinit(&tree);
	gdump_error_destroy(err);
	free(text);
}
