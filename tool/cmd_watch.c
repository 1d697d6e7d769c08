/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cmd_watch.c - watch: report and dump guests by itself when they crash
 *
 * Theory of operation.  One thread waits for what happens to all guests (watch_guest.c). A crash is
 * taken by a process of its own (watch_worker.c starts it, watch_take.c is what it does), which leads a process group; so many at once as
 * MaxParallel allows, and the others wait, their guests still in the state they crashed in. When the
 * guest is not needed any more, that process says so through a pipe, and the guest is watched again;
 * the end of the pipe is the end of the process.
 *
 * SIGTERM: end when the crashes that are being taken are kept; once more: cancel them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "failure.h"
#include "tool.h"
#include "watch_conf.h"
#include "watch_guest.h"
#include "watch_journal.h"
#include "watch_worker.h"

enum {
	SCAN_MS = 5000,                 /* how often new guests are searched    */
	EXPIRE_MS = 600000,             /* how often old crashes are removed    */
};

struct watch {
	struct arguments *args;
	struct watch_conf *conf;
	struct watched **guests;
	size_t num_guests;
	unsigned int num_taken;         /* processes that take a crash          */
	int signals;
	bool ending, canceled, reload;
	uint64_t scan_ms, expire_ms, watchdog_ms;       /* when to do that next */
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- the guests --- */

static struct watched *watch_find(const struct watch *w, const char *name, pid_t pid)
{
	for (size_t i = 0; i < w->num_guests; i++) {
		if (!strcmp(w->guests[i]->name, name) && (!pid || w->guests[i]->pid == pid))
			return w->guests[i];
	}
	return NULL;
}

/* Returns NULL if there is no memory. */
static struct watched *watch_add(struct watch *w, const char *name, const char *where)
{
	const struct watch_policy policy = watch_policy_of(w->conf, name);
	struct watched **grown = realloc(w->guests, (w->num_guests + 1) * sizeof(*grown));
	struct watched *g = grown ? watched_create(name, where, &policy) : NULL;

	if (grown)
		w->guests = grown;
	if (!g) {
		failed(FAILURE_NO_MEMORY, 0, "%s: not watched: out of memory", name);
		return NULL;
	}
	w->guests[w->num_guests++] = g;
	return g;
}

static void watch_remove(struct watch *w, size_t i)
{
	say("%s: has ended", w->guests[i]->name);
	watched_destroy(w->guests[i]);
	w->guests[i] = w->guests[--w->num_guests];
}

/* The first way by which a guest can be opened; NULL: there is none. */
static const char *way_of(const struct gdump_host_guest *g)
{
	for (size_t i = 0; i < g->num_ways; i++) {
		if (g->ways[i].works)
			return g->ways[i].name;
	}
	return NULL;
}

/* Whether the command line asks for that guest */
static bool watch_wants(const struct watch *w, const struct gdump_host_guest *g, const char *name)
{
	const struct arguments *args = w->args;
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)g->pid);
	for (int i = 0; i < args->num_words; i++) {
		if (!strcmp(args->words[i], name) || !strcmp(args->words[i], pid) ||
		    (g->uuid && !strcasecmp(args->words[i], g->uuid)))
			return true;
	}
	return !args->num_words;
}

/* A gdump_host_guest_fn: a guest that runs */
static void watch_take_guest(void *arg, const struct gdump_host_guest *found)
{
	const char *where = way_of(found);
	struct watch *w = arg;
	struct watched *g;
	char name[64];

	snprintf(name, sizeof(name), "%s-%d", found->program, (int)found->pid);
	if (found->name)
		snprintf(name, sizeof(name), "%.63s", found->name);
	if (!watch_wants(w, found, name))
		return;
	g = watch_find(w, name, found->pid);
	/* its monitor is in use, by us */
	if (!g && !where)
		return;
	if (!g)
		g = watch_add(w, name, where);
	if (!g)
		return;
	g->seen = true;
	g->pid = found->pid;
	if (!g->uuid && found->uuid)
		g->uuid = strdup(found->uuid);
	if (!g->hypervisor)
		g->hypervisor = strdup(found->program);
}

static void watch_scan(struct watch *w, uint64_t now)
{
	struct gdump_error *err;

	if (now < w->scan_ms)
		return;
	w->scan_ms = now + SCAN_MS;
	for (size_t i = 0; i < w->num_guests; i++)
		w->guests[i]->seen = w->guests[i]->is_named;
	err = gdump_guests(NULL, watch_take_guest, w);
	if (err)
		fail(err);
	for (size_t i = w->num_guests; !err && i-- > 0;) {
		if (!w->guests[i]->seen && w->guests[i]->state == AWAY)
			watch_remove(w, i);
	}
}

/* Guests that the command line names by how to open them: these need no search. */
static bool watch_add_named(struct watch *w)
{
	for (int i = 0; i < w->args->num_words; i++) {
		const char *where = w->args->words[i];
		struct watched *g;

		if (!is_guest(where))
			continue;
		g = watch_add(w, where, where);
		if (!g)
			return false;
		g->is_named = true;
	}
	return true;
}

/* --- crashes --- */

/* Begin to take what waits, the oldest first, as far as may be at once. */
static void watch_take_waiting(struct watch *w)
{
	const unsigned int max = watch_policy_of(w->conf, NULL).max_parallel;

	while (w->num_taken < max && !w->ending) {
		struct watched *next = NULL;

		for (size_t i = 0; i < w->num_guests; i++) {
			struct watched *g = w->guests[i];

			/* one that was released may crash again while the first crash is finished */
			if (g->state == WAITING && !g->worker && (!next || g->time < next->time))
				next = g;
		}
		if (!next)
			return;
		w->num_taken += worker_start(next, now_ms());
		if (next->state == WAITING)
			return;
	}
}

/* --- the configuration --- */

/* A watch_conf_fn */
static void conf_mistake(void *arg, bool is_error, const char *text)
{
	(void)arg;
	if (is_error)
		failed(FAILURE_USAGE, 0, "%s", text);
	else
		warn("%s", text);
}

/* Returns NULL after an error, which was printed. */
static struct watch_conf *conf_read(const struct arguments *args)
{
	struct watch_conf *conf = NULL;

	if (!watch_conf_read(args->config, conf_mistake, NULL, &conf)) {
		watch_conf_destroy(conf);
		return NULL;
	}
	watch_conf_set_options(conf, &args->policy, args->policy_given);
	return conf;
}

static void watch_reload(struct watch *w)
{
	struct watch_conf *conf = conf_read(w->args);

	w->reload = false;
	if (!conf) {
		warn("the configuration remains as it was");
		return;
	}
	for (size_t i = 0; i < w->num_guests; i++) {
		const struct watch_policy policy = watch_policy_of(conf, w->guests[i]->name);

		if (!watched_set_policy(w->guests[i], &policy))
			warn("%s: out of memory: its log is not read", w->guests[i]->name);
	}
	watch_conf_destroy(w->conf);
	w->conf = conf;
	say("the configuration was read again");
}

/* --- signals --- */

static void watch_cancel(struct watch *w)
{
	w->canceled = true;
	for (size_t i = 0; i < w->num_guests; i++) {
		if (w->guests[i]->worker)
			kill(-w->guests[i]->worker, SIGTERM);
	}
}

static void watch_signal(struct watch *w)
{
	struct signalfd_siginfo info;

	if (read(w->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1) {
		for (size_t i = 0; i < w->num_guests; i++)
			watched_ask(w->guests[i]);
	} else if (info.ssi_signo == SIGHUP) {
		w->reload = true;
	} else if (w->ending) {
		watch_cancel(w);
	} else {
		w->ending = true;
		journal_notify("STOPPING=1");
		if (w->num_taken)
			say("ends when %u crash%s kept; another signal cancels that", w->num_taken,
			    w->num_taken == 1 ? " is" : "es are");
	}
}

static bool watch_open_signals(struct watch *w)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1 };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	w->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (w->signals >= 0)
		return true;
	failed(FAILURE_SYSTEM, errno, "cannot receive signals: %s", strerror(errno));
	return false;
}

/* --- the loop --- */

static bool watch_wants_poll(const struct watched *g)
{
	return g->state == WATCHED && g->watch;
}

static int watch_timeout(const struct watch *w, uint64_t now)
{
	uint64_t next = w->scan_ms < w->expire_ms ? w->scan_ms : w->expire_ms;

	if (w->watchdog_ms && w->watchdog_ms < next)
		next = w->watchdog_ms;
	for (size_t i = 0; i < w->num_guests; i++) {
		const uint64_t deadline = watched_deadline(w->guests[i]);

		next = deadline < next ? deadline : next;
	}
	return next <= now ? 0 : next - now > INT32_MAX ? INT32_MAX : (int)(next - now);
}

/* Wait until something happens, and take it in. Returns false if there is no memory. */
static bool watch_wait(struct watch *w)
{
	const size_t num = w->num_guests;
	struct pollfd *p = calloc(1 + 2 * num, sizeof(*p));
	uint64_t now = now_ms();

	if (!p)
		return false;
	p[0] = (struct pollfd){ .fd = w->signals, .events = POLLIN };
	for (size_t i = 0; i < num; i++) {
		const struct watched *g = w->guests[i];

		p[1 + 2 * i] = (struct pollfd){ .fd = watch_wants_poll(g) ? gdump_watch_fd(g->watch) : -1,
						.events = POLLIN };
		p[2 + 2 * i] = (struct pollfd){ .fd = g->released, .events = POLLIN };
	}
	poll(p, 1 + 2 * num, watch_timeout(w, now));
	now = now_ms();
	if (p[0].revents)
		watch_signal(w);
	for (size_t i = 0; i < num; i++) {
		struct watched *g = w->guests[i];

		if (p[2 + 2 * i].revents)
			w->num_taken -= worker_listen(g, now);
		if (watch_wants_poll(g) && (p[1 + 2 * i].revents || watched_deadline(g) <= now))
			watched_listen(g, now);
	}
	free(p);
	return true;
}

static void removed(void *arg, const struct crash_entry *e)
{
	(void)arg;
	say("removed %s, which is too old", e->path);
}

/* A crash_limits_fn */
static struct crash_limits limits_of(const void *conf, const char *guest)
{
	const struct watch_policy policy = watch_policy_of(conf, guest);

	return watch_policy_limits(&policy);
}

static void watch_expire(struct watch *w, uint64_t now)
{
	const char *template;

	if (now < w->expire_ms)
		return;
	w->expire_ms = now + EXPIRE_MS;
	for (size_t i = 0; (template = watch_conf_store(w->conf, i)); i++) {
		struct crash_store *store = NULL;
		struct failure why = { 0 };

		if (!crash_store_open(template, &why, &store) ||
		    !crash_expire(store, limits_of, w->conf, time(NULL), removed, NULL, &why))
			failure_report(&why);
		crash_store_close(store);
	}
}

static void watch_keep_alive(struct watch *w, uint64_t now)
{
	const unsigned int interval = journal_watchdog_ms();

	if (!interval || now < w->watchdog_ms)
		return;
	journal_notify("WATCHDOG=1");
	w->watchdog_ms = now + interval;
}

static void recovered(void *arg, const struct crash_recovered *r)
{
	(void)arg;
	if (r->problem)
		warn("%s: %s", r->path, r->problem);
	else if (r->kept)
		say("%s was not finished; what is whole is in %s", r->path, r->kept);
	else
		say("removed %s, which was not finished", r->path);
}

/* Bring in order what a watcher that was killed has left. */
static void watch_recover(const struct watch *w)
{
	const char *template;

	for (size_t i = 0; (template = watch_conf_store(w->conf, i)); i++) {
		struct crash_store *store = NULL;
		struct failure why = { 0 };

		if (!crash_store_open(template, &why, &store) ||
		    !crash_recover(store, recovered, NULL, &why))
			failure_report(&why);
		crash_store_close(store);
	}
}

static void watch_step(struct watch *w)
{
	const uint64_t now = now_ms();

	watch_keep_alive(w, now);
	watch_expire(w, now);
	watch_scan(w, now);
	for (size_t i = 0; i < w->num_guests; i++) {
		watched_connect(w->guests[i], now);
		/* each may have taken a while */
		watch_keep_alive(w, now_ms());
	}
	watch_take_waiting(w);
}

static int watch_run(struct watch *w)
{
	int status = EXIT_DONE;

	watch_recover(w);
	if (!watch_open_signals(w) || !watch_add_named(w))
		return EXIT_FAILED;
	watch_step(w);
	journal_notify("READY=1");
	while (!w->ending || w->num_taken) {
		if (w->reload)
			watch_reload(w);
		if (!watch_wait(w)) {
			status = failed(FAILURE_NO_MEMORY, 0, "out of memory");
			break;
		}
		if (!w->ending)
			watch_step(w);
	}
	for (size_t i = 0; i < w->num_guests; i++)
		watched_destroy(w->guests[i]);
	free(w->guests);
	close(w->signals);
	return status;
}

/* --check: what would be done */
static int conf_check(const struct watch_conf *conf)
{
	struct watch_policy policy = watch_policy_of(conf, NULL);
	const char *text;

	for (size_t i = 0; (text = watch_conf_file(conf, i)); i++)
		printf("# %s\n", text);
	puts("[Watch]");
	watch_policy_print(&policy, stdout);
	for (size_t i = 0; (text = watch_conf_pattern(conf, i)); i++) {
		policy = watch_policy_of(conf, text);
		printf("\n[Guest %s]\n", text);
		watch_policy_print(&policy, stdout);
	}
	return finish_stdout(EXIT_DONE);
}

int cmd_watch(struct arguments *args)
{
	struct watch w = { .args = args, .conf = conf_read(args), .signals = -1 };
	int status;

	if (!w.conf)
		return EXIT_USAGE;
	status = args->check ? conf_check(w.conf) : watch_run(&w);
	watch_conf_destroy(w.conf);
	return status;
}
