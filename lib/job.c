/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * job.c - gdump_write() in the background: a thread and three states
 *
 * A thread of the job writes the dump; the lock guards all that other threads read
 * meanwhile.  The thread blocks all signals, and so do the threads that it starts: a
 * VMM's signal handlers expect to run on its own threads.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "dump.h"
#include "settings.h"
#include "write/plan.h"
#include "util/bits.h"

struct gdump_job {
	struct gdump *g;
	struct gdump_job_options opt;
	struct gdump_write_options write;
	gdump_progress_fn *progress;    /* that of the caller                   */
	void *progress_arg;
	char *path, *format, *codec, *spool_dir;
	pthread_t thread;

	pthread_mutex_t lock;           /* guards the rest                      */
	enum gdump_job_state state;
	uint64_t done, total;           /* bytes                                */
	struct gdump_error *err;        /* does not change after the job failed */
	bool cancel;
};

static bool job_progress(void *arg, uint64_t done, uint64_t total)
{
	struct gdump_job *job = arg;
	bool cancel;

	pthread_mutex_lock(&job->lock);
	job->done = done * job->g->info.page_size;
	job->total = total * job->g->info.page_size;
	cancel = job->cancel;
	pthread_mutex_unlock(&job->lock);
	return (job->progress && job->progress(job->progress_arg, done, total)) || cancel;
}

static void *job_run(void *arg)
{
	struct gdump_job *job = arg;
	struct gdump_error *err = gdump_write(job->g, job->opt.plan, job->path, &job->write);

	pthread_mutex_lock(&job->lock);
	job->err = err;
	job->state = err ? GDUMP_JOB_FAILED : GDUMP_JOB_COMPLETED;
	if (!err)
		job->done = job->total;
	pthread_mutex_unlock(&job->lock);
	if (job->opt.ended)
		job->opt.ended(job->opt.ended_arg, job);
	return NULL;
}

static void job_free(struct gdump_job *job)
{
	pthread_mutex_destroy(&job->lock);
	free(job->path);
	free(job->format);
	free(job->codec);
	free(job->spool_dir);
	free(job);
}

/* Copy the strings, which the caller may free; false: no memory. */
static bool job_copy(struct gdump_job *job)
{
	struct gdump_write_options *w = &job->write;

	job->path = strdup(job->opt.path);
	job->format = w->format ? strdup(w->format) : NULL;
	job->codec = w->codec ? strdup(w->codec) : NULL;
	job->spool_dir = w->spool_dir ? strdup(w->spool_dir) : NULL;
	if (!job->path || !job->format != !w->format || !job->codec != !w->codec ||
	    !job->spool_dir != !w->spool_dir)
		return false;
	w->format = job->format;
	w->codec = job->codec;
	w->spool_dir = job->spool_dir;
	job->progress = w->progress;
	job->progress_arg = w->progress_arg;
	w->progress = job_progress;
	w->progress_arg = job;
	return true;
}

/* Start the thread without any signals. */
static int job_launch(struct gdump_job *job)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&job->thread, NULL, job_run, job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

struct gdump_error *gdump_job_start(struct gdump *g, const struct gdump_job_options *opt,
				    struct gdump_job **ret)
{
	struct gdump_job_options own;
	struct gdump_job *job;
	struct gdump_error *err;
	int rc;

	err = args_take(&own, sizeof(own), opt, ARGS_LEAST(struct gdump_job_options, path),
			"gdump_job_options");
	if (!err)
		err = write_plan_check(g, own.plan);
	if (!err && !own.path)
		err = error_new(GDUMP_ERR_USAGE, "the output has no name");
	if (err)
		return err;
	job = calloc(1, sizeof(*job));
	if (!job)
		return error_nomem();
	pthread_mutex_init(&job->lock, NULL);
	job->g = g;
	job->opt = own;
	job->state = GDUMP_JOB_ACTIVE;
	job->total = g->info.page_size * (job->opt.plan ? gdump_plan_kept(job->opt.plan) :
							  g->info.num_pages);
	err = write_options_take(&job->write, job->opt.write);
	job->write.size = sizeof(job->write);
	if (!err)
		err = gdump_write_check(job->opt.path, &job->write);
	if (!err && !job_copy(job))
		err = error_nomem();
	rc = err ? 0 : job_launch(job);
	if (rc)
		err = error_os(rc, "cannot start a thread");
	if (err) {
		job_free(job);
		return err;
	}
	*ret = job;
	return NULL;
}

void gdump_job_query(struct gdump_job *job, struct gdump_job_status *ret)
{
	struct gdump_job_status status = { .size = ret->size };

	if (job) {
		pthread_mutex_lock(&job->lock);
		status.state = job->state;
		status.done = job->done;
		status.total = job->total;
		status.error = job->err;
		pthread_mutex_unlock(&job->lock);
	}
	args_return(ret, &status, sizeof(status));
}

void gdump_job_cancel(struct gdump_job *job)
{
	if (!job)
		return;
	pthread_mutex_lock(&job->lock);
	job->cancel = true;
	pthread_mutex_unlock(&job->lock);
}

struct gdump_error *gdump_job_wait(struct gdump_job *job)
{
	struct gdump_error *err;

	if (!job)
		return NULL;
	pthread_join(job->thread, NULL);
	err = job->err;
	job_free(job);
	return err;
}
