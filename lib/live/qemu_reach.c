/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_reach.c - the names by which a running QEMU can be opened: its QMP sockets
 *
 * A monitor serves one client.  Whether it has one can be seen in /proc/net/unix, without asking
 * for the place of that client.
 */
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../util/cleanup.h"
#include "host_guests.h"
#include "qmp.h"
#include "rights.h"
#include "socket_holder.h"

enum { ASK_MS = 500 };

/* The path of a socket of the process for us; "" if it is too long */
struct reach_path { char text[600]; };

static struct reach_path reach_path(const struct host_process *p, const char *path)
{
	struct reach_path ret = { "" };
	char cwd[256];
	ssize_t n;

	if (host_process_elsewhere(p, "mnt")) {
		snprintf(ret.text, sizeof(ret.text), "/proc/%d/%s%.256s", (int)p->pid,
			 *path == '/' ? "root" : "cwd/", path);
		return ret;
	}
	n = *path == '/' ? 0 : readlinkat(p->dir, "cwd", cwd, sizeof(cwd) - 1);
	if (n > 0)
		snprintf(ret.text, sizeof(ret.text), "%.*s/%.256s", (int)n, cwd, path);
	else
		snprintf(ret.text, sizeof(ret.text), "%.256s", path);
	return ret;
}

/* The number at the end of a file; 0: there is none. */
static unsigned long long reach_number(int dir, const char *path, const char *before, int base)
{
	CLEANUP_FD int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	char text[4096];
	const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *at;

	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, before);
	return at ? strtoull(at + strlen(before), NULL, base) : 0;
}

/* Whether QEMU may protect its memory by userfaultfd, which --live needs */
static bool reach_may_live(const struct host_process *p)
{
	enum { CAP_PTRACE = 19 };

	return reach_number(p->dir, "status", "CapEff:\t", 16) >> CAP_PTRACE & 1 ||
	       reach_number(AT_FDCWD, "/proc/sys/vm/unprivileged_userfaultfd", "", 10);
}

/* Fill in what works of a way that works, and what is missing, in @text. */
static void reach_abilities(const struct host_process *p, struct gdump_guest_way *way, char *text,
			    size_t size)
{
	static const char no_live[] = "QEMU may not use userfaultfd, which --live needs (sysctl vm.unprivileged_userfaultfd=1)";
	CLEANUP_FD int mem = openat(p->dir, "mem", O_RDONLY | O_CLOEXEC);
	CLEANUP_ERROR struct gdump_error *err = mem < 0 ? rights_explain(p->pid, errno) : NULL;

	way->works = way->pauses = way->registers = true;
	way->direct = !err;
	way->live = !err && reach_may_live(p);
	if (err)
		snprintf(text, size, "QEMU must read the memory, which is slower: %s",
			 gdump_error_message(err));
	else if (!way->live)
		snprintf(text, size, "%s", no_live);
	way->missing = *text ? text : NULL;
}

/* Ask QEMU whether its guest runs. */
static void reach_ask_state(const char *path, enum gdump_guest_state *state)
{
	const struct gdump_open_options opt = { .timeout_ms = ASK_MS };
	CLEANUP_JSON json_t *answer = NULL;
	CLEANUP_QMP struct qmp *qmp = NULL;
	CLEANUP_ERROR struct gdump_error *err = qmp_open(path, &opt, &qmp);
	const json_t *running;

	if (!err)
		err = qmp_execute(qmp, "query-status", NULL, &answer);
	running = json_object_get(answer, "running");
	if (!err && json_is_boolean(running))
		*state = json_is_true(running) ? GDUMP_GUEST_RUNNING : GDUMP_GUEST_PAUSED;
}

/* Whether we may connect to the socket; else @text: why not */
static bool reach_may_connect(const char *path, char *text, size_t size)
{
	CLEANUP_ERROR struct gdump_error *err = NULL;

	if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS))
		err = error_os(errno, "cannot connect to the socket");
	if (err)
		snprintf(text, size, "%s", gdump_error_message(err));
	return !err;
}

static void reach_explain_busy(const char *path, char *text, size_t size)
{
	struct socket_holder holder;

	if (socket_turn_find(path, -1, &holder) != SOCKET_TURN_TAKEN)
		strcpy(holder.text, "another process");
	snprintf(text, size, "%s is connected to this monitor, which serves one client at a time",
		 holder.text);
}

/* Add the name of a QMP socket that was bound to @bound. */
static struct gdump_error *reach_add(struct host_guest *g, const char *bound)
{
	const struct reach_path path = reach_path(g->process, bound);
	char name[620], text[400] = "";
	struct gdump_guest_way way = { .name = name, .missing = text };

	snprintf(name, sizeof(name), "qmp:%s", path.text);
	for (size_t i = 0; i < g->num_ways; i++) {
		if (!strcmp(g->ways[i].name, name))
			return NULL;
	}
	if (host_sockets_busy(g->sockets, bound))
		reach_explain_busy(path.text, text, sizeof(text));
	else if (!reach_may_connect(path.text, text, sizeof(text)))
		way.works = false;
	else
		reach_abilities(g->process, &way, text, sizeof(text));
	if (way.works && g->ask_state && g->state == GDUMP_GUEST_UNKNOWN)
		reach_ask_state(path.text, &g->state);
	return host_guest_add(g, &way);
}

/* A QMP socket that the command line does not show, as if it is in a file of options */
static bool reach_looks_like_qmp(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strstr(slash ? slash : path, "qmp");
}

struct gdump_error *qemu_reach(struct host_guest *g)
{
	const struct host_process *p = g->process;
	struct gdump_error *err = NULL;
	const char *path;

	if (g->facts.kind != GDUMP_GUEST_QEMU)
		return NULL;
	for (size_t i = 0; !err && i < g->facts.num_monitors; i++) {
		const struct vmm_monitor *m = &g->facts.monitors[i];

		path = m->fd < 0 ? m->path :
		       host_sockets_path(g->sockets, host_process_socket(p, m->fd));
		if (path && *path)
			err = reach_add(g, path);
	}
	for (size_t i = 0; !err && i < p->num_sockets; i++) {
		path = host_sockets_path(g->sockets, p->sockets[i]);
		if (path && reach_looks_like_qmp(path))
			err = reach_add(g, path);
	}
	return err;
}
