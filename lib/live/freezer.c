/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * freezer.c - stopping all threads of another process
 *
 * PTRACE_SEIZE and PTRACE_INTERRUPT stop a thread without a signal, so that neither the process nor
 * its parent notices.  The stop ends when its tracer does.  The tracer is a thread, and only it can
 * detach: so a thread of our own seizes, waits, and detaches.
 *
 * A thread that runs may create others, so the list of threads is read until it has nothing new.
 * Facts: ptrace(2).
 */
#include "freezer.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "../util/array.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "../util/process_status.h"
#include "rights.h"

enum { POLL_US = 200, MAX_THREADS = 1 << 16 };

struct freezer {
	pid_t pid;
	pthread_t thread;
	pid_t *tids;                    /* of all threads that were seized      */
	size_t num_tids;
	pthread_mutex_t lock;
	pthread_cond_t change;
	/* protected by the lock */
	bool ready, thaw;
	struct gdump_error *err;        /* of freezing, or of @fn; once @ready  */
	freezer_fn *fn;                 /* NULL: none is to be called           */
	void *arg;
};

static struct gdump_error *freezer_explain(const struct freezer *f, int errnum)
{
	const int tracer = process_status(f->pid, "TracerPid:");

	if (tracer > 0)
		return error_os(errnum, "process %d is traced by process %d, for example a debugger, so it cannot be paused",
				(int)f->pid, tracer);
	return rights_explain(f->pid, errnum);
}

static bool freezer_has(const struct freezer *f, pid_t tid)
{
	for (size_t i = 0; i < f->num_tids; i++) {
		if (f->tids[i] == tid)
			return true;
	}
	return false;
}

/* Seize thread @tid and have it stop.  One that has ended meanwhile is no error. */
static struct gdump_error *freezer_seize(struct freezer *f, pid_t tid)
{
	if (f->num_tids == MAX_THREADS || !ARRAY_GROW(f->tids, f->num_tids))
		return error_nomem();
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL))
		return errno == ESRCH ? NULL : freezer_explain(f, errno);
	f->tids[f->num_tids++] = tid;
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) && errno != ESRCH)
		return error_os(errno, "cannot stop thread %d", (int)tid);
	return NULL;
}

/* Seize all threads that are not seized yet. */
static struct gdump_error *freezer_seize_new(struct freezer *f)
{
	struct gdump_error *err = NULL;
	struct dirent *entry;
	char path[40];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)f->pid);
	dir = opendir(path);
	if (!dir)
		return rights_explain(f->pid, errno);
	while (!err && (entry = readdir(dir))) {
		const pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (tid > 0 && !freezer_has(f, tid))
			err = freezer_seize(f, tid);
	}
	closedir(dir);
	return err;
}

/* Whether a thread that waitpid() reported has stopped for us.  One that stopped for a signal gets
 * it, and stops again.
 */
static bool freezer_take_stop(pid_t tid, int status)
{
	if (!WIFSTOPPED(status) || status >> 16 == PTRACE_EVENT_STOP)
		return true;
	ptrace(PTRACE_CONT, tid, NULL, (void *)(uintptr_t)WSTOPSIG(status));
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	return false;
}

static struct gdump_error *freezer_await(const struct freezer *f, pid_t tid)
{
	const uint64_t end_us = clock_us() + (uint64_t)FREEZER_MS * 1000;
	int status;
	pid_t got;

	do {
		got = waitpid(tid, &status, __WALL | WNOHANG);
		if (got < 0 && errno != EINTR)  /* it has ended */
			return NULL;
		if (got == tid && freezer_take_stop(tid, status))
			return NULL;
		if (got != tid)
			nanosleep(&(struct timespec){ .tv_nsec = POLL_US * 1000 }, NULL);
	} while (clock_us() < end_us);
	if (process_has_ended(f->pid))
		return error_new(GDUMP_ERR_REMOTE, "process %d has ended", (int)f->pid);
	return error_new(GDUMP_ERR_OS,
			 "thread %d of process %d does not stop: it waits in the kernel, perhaps for a disk or a file server",
			 (int)tid, (int)f->pid);
}

static struct gdump_error *freezer_stop_all(struct freezer *f)
{
	struct gdump_error *err = NULL;

	for (size_t stopped = 0, before = SIZE_MAX; !err && before != f->num_tids;) {
		before = f->num_tids;
		err = freezer_seize_new(f);
		for (; !err && stopped < f->num_tids; stopped++)
			err = freezer_await(f, f->tids[stopped]);
	}
	if (!err && !f->num_tids)
		err = error_new(GDUMP_ERR_REMOTE, "process %d has ended", (int)f->pid);
	return err;
}

static void freezer_detach_all(struct freezer *f)
{
	for (size_t i = 0; i < f->num_tids; i++)
		ptrace(PTRACE_DETACH, f->tids[i], NULL, NULL);
}

/* Lock held */
static void freezer_run_call(struct freezer *f)
{
	if (f->fn)
		f->err = f->fn(&(struct frozen){ f->pid, f->tids, f->num_tids }, f->arg);
	f->fn = NULL;
	pthread_cond_broadcast(&f->change);
}

static void *freezer_run(void *arg)
{
	struct freezer *f = arg;
	struct gdump_error *err = freezer_stop_all(f);
	const bool failed = err;

	pthread_mutex_lock(&f->lock);
	f->err = err;
	for (f->ready = true; !failed && !f->thaw; pthread_cond_wait(&f->change, &f->lock))
		freezer_run_call(f);
	pthread_cond_broadcast(&f->change);
	pthread_mutex_unlock(&f->lock);
	freezer_detach_all(f);
	return NULL;
}

/* No signal of the program is for this thread. */
static int freezer_start(struct freezer *f)
{
	sigset_t all, old;
	int errnum;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	errnum = pthread_create(&f->thread, NULL, freezer_run, f);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return errnum;
}

static void freezer_free(struct freezer *f)
{
	pthread_cond_destroy(&f->change);
	pthread_mutex_destroy(&f->lock);
	free(f->tids);
	free(f);
}

struct gdump_error *freezer_open(pid_t pid, struct freezer **ret)
{
	struct freezer *f = calloc(1, sizeof(*f));
	struct gdump_error *err;
	int errnum;

	if (!f)
		return error_nomem();
	f->pid = pid;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->change, NULL);
	errnum = freezer_start(f);
	if (errnum) {
		freezer_free(f);
		return error_os(errnum, "cannot start a thread");
	}
	pthread_mutex_lock(&f->lock);
	while (!f->ready)
		pthread_cond_wait(&f->change, &f->lock);
	err = TAKE_PTR(f->err);
	pthread_mutex_unlock(&f->lock);
	if (err)
		freezer_close(f);
	else
		*ret = f;
	return err;
}

struct gdump_error *freezer_call(struct freezer *f, freezer_fn *fn, void *arg)
{
	struct gdump_error *err;

	pthread_mutex_lock(&f->lock);
	f->fn = fn;
	f->arg = arg;
	pthread_cond_broadcast(&f->change);
	while (f->fn)
		pthread_cond_wait(&f->change, &f->lock);
	err = TAKE_PTR(f->err);
	pthread_mutex_unlock(&f->lock);
	return err;
}

void freezer_close(struct freezer *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->thaw = true;
	pthread_cond_broadcast(&f->change);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	freezer_free(f);
}
