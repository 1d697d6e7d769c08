/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "watch_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failure.h"
#include "tool.h"
#include "watch_take.h"

static struct crash_facts worker_facts(const struct watched *g)
{
	static const char *const actions[] = { "leave", "resume", "reset" };

	return (struct crash_facts){
		.guest = g->name, .uuid = g->uuid, .source = g->where, .hypervisor = g->hypervisor,
		.pid = g->pid, .reason = watch_trigger_name(g->trigger), .detail = g->detail,
		.time = g->time, .action = actions[g->policy.after],
	};
}

/* Whether a crash that we found when we connected has been kept by a watcher before us */
static bool worker_was_kept(const struct watched *g)
{
	struct crash_store *store = NULL;
	struct crash_list list = { 0 };
	struct failure why = { 0 };
	bool ret = false;

	if (!g->found || !g->pid || g->policy.after != WATCH_LEAVE)
		return false;
	if (!crash_store_open(g->policy.store, &why, &store) || !crash_list_add(&list, store, &why))
		failure_deinit(&why);
	for (size_t i = 0; i < list.num; i++) {
		const struct crash_entry *e = &list.entries[i];

		ret |= !strcmp(e->guest, g->name) && !strcmp(e->reason, watch_trigger_name(g->trigger)) &&
		       json_integer_value(json_object_get(e->meta, "pid")) == g->pid;
	}
	crash_list_deinit(&list);
	crash_store_close(store);
	return ret;
}

/* Whether even reports of it would be too many */
static bool worker_is_storm(const struct watched *g)
{
	const struct crash_limits limits = watch_policy_limits(&g->policy);
	const struct throttle *t = &limits.throttle;
	struct crash_store *store = NULL;
	struct failure why = { 0 };
	bool ret = false;

	if (!t->num || !g->taken_time || g->trigger == WATCH_SIGNAL ||
	    g->time - g->taken_time >= (int64_t)(t->seconds / t->num))
		return false;
	if (crash_store_open(g->policy.store, &why, &store))
		ret = crash_is_throttled(store, g->name, &limits, g->time);
	else
		failure_deinit(&why);
	crash_store_close(store);
	return ret;
}

/* Whether what has happened is not to be taken; the reason is printed. */
static bool worker_passes_over(const struct watched *g)
{
	const bool kept = worker_was_kept(g), storm = !kept && worker_is_storm(g);

	if (kept)
		say("%s: that crash has been kept before", g->name);
	if (storm)
		say("%s: not kept: there have been %u dumps, and a report, in a short time", g->name,
		    g->policy.throttle.num);
	return kept || storm;
}

/* In the process that takes the crash: nothing of the watcher may stay open, or QEMU would think
 * that it is still connected.
 */
static int worker_run(const struct watched *g, int released)
{
	const struct take take = { .policy = &g->policy, .facts = worker_facts(g), .released = STDIN_FILENO };
	sigset_t none;

	dup2(released, STDIN_FILENO);
	close_range(STDERR_FILENO + 1, UINT32_MAX, 0);
	fcntl(STDIN_FILENO, F_SETFD, FD_CLOEXEC);
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return take_crash(&take);
}

bool worker_start(struct watched *g, uint64_t now)
{
	int fds[2];

	if (worker_passes_over(g)) {
		watched_finish(g, now);
		return false;
	}
	watched_disconnect(g);
	g->taken_time = g->time;
	if (pipe2(fds, O_CLOEXEC)) {
		failed(FAILURE_SYSTEM, errno, "%s: cannot make a pipe: %s", g->name, strerror(errno));
		return false;
	}
	fflush(NULL);
	g->worker = fork();
	if (!g->worker)
		_exit(worker_run(g, fds[1]));
	close(fds[1]);
	if (g->worker < 0) {
		failed(FAILURE_SYSTEM, errno, "%s: cannot start a process: %s", g->name, strerror(errno));
		close(fds[0]);
		g->worker = 0;
		return false;
	}
	g->released = fds[0];
	g->state = TAKEN;
	return true;
}

bool worker_listen(struct watched *g, uint64_t now)
{
	char byte;
	const bool ended = read(g->released, &byte, 1) == 0;

	if (ended) {
		close(g->released);
		g->released = -1;
		while (waitpid(g->worker, NULL, 0) < 0 && errno == EINTR)
			;
		g->worker = 0;
	}
	if (g->state == TAKEN)
		watched_finish(g, now);
	return ended;
}
