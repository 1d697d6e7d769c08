/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * detach.c - a dump in the background
 *
 * The parent waits at a pipe until the child has begun to write, and ends then; up to that
 * moment the child reports errors to the parent's standard error, and the parent ends with the
 * child's status. Afterwards the child has no terminal and no standard error: an error goes to
 * its job's file.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "event.h"
#include "failure.h"
#include "jobs.h"
#include "json.h"
#include "progress.h"

enum { TICK_MS = 50, PATIENCE_MS = 500, MAX_WARNINGS = 20 };

static struct {
	char *dir;
	long id;
	int begun;                      /* the pipe to the parent; -1: it has ended */
	int listener;
	pthread_mutex_t lock;           /* for job: events come from many threads */
	json_t *job;
} detach = { .begun = -1, .listener = -1, .lock = PTHREAD_MUTEX_INITIALIZER };

/* A job that has just begun */
static json_t *job_new(long id, const char *from, const char *to)
{
	json_t *job = json_pack("{s:i, s:i, s:s, s:s, s:o, s:o, s:o, s:n, s:n}", "schema", JSON_SCHEMA,
				"id", (int)id, "state", "active", "version", gdump_version(),
				"input", json_string_of(from), "output", json_string_of(to),
				"start_time", json_count((uint64_t)time(NULL)), "end_time", "status");

	json_object_update_new(job, json_pack("{s:n, s:n, s:n, s:n, s:n, s:[], s:n, s:n}", "done", "total",
					      "was_running", "run_state", "paused_seconds", "warnings", "result",
					      "error"));
	return job;
}

/* An event_fn: what of an event a job keeps */
static void record_event(const char *type, const json_t *members)
{
	json_t *copy = json_deep_copy(members), *warnings;

	pthread_mutex_lock(&detach.lock);
	warnings = json_object_get(detach.job, "warnings");
	if (!strcmp(type, "warning") && json_array_size(warnings) < MAX_WARNINGS)
		json_array_append(warnings, json_object_get(copy, "message"));
	else if (!strcmp(type, "pause"))
		json_object_update(detach.job, copy);
	else if (!strcmp(type, "done"))
		json_object_set(detach.job, "result", copy);
	else if (!strcmp(type, "error"))
		json_object_set(detach.job, "error", copy);
	pthread_mutex_unlock(&detach.lock);
	json_decref(copy);
}

static bool job_listen(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char *path = jobs_path(detach.dir, detach.id, "sock");
	bool good = path && strlen(path) < sizeof(addr.sun_path);

	if (good) {
		strcpy(addr.sun_path, path);
		unlink(path);           /* left by a process that had our id and was killed */
		detach.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		good = detach.listener >= 0 &&
		       !bind(detach.listener, (struct sockaddr *)&addr, sizeof(addr)) &&
		       !chmod(path, 0600) && !listen(detach.listener, 16);
	} else {
		errno = ENAMETOOLONG;
	}
	if (!good)
		failed(FAILURE_SYSTEM, errno, "%s: cannot create the job's socket: %s",
		       path ? path : detach.dir, strerror(errno));
	free(path);
	return good;
}

static void child_prepare(const char *from, const char *to)
{
	int rc;

	setsid();
	detach.id = getpid();
	detach.dir = jobs_dir();
	if (!detach.dir)
		exit(EXIT_FAILED);
	detach.job = job_new(detach.id, from, to);
	if (!job_listen())
		exit(EXIT_FAILED);
	events_observe(record_event);
	rc = jobs_write(detach.dir, detach.id, detach.job);
	if (rc) {
		failed(FAILURE_SYSTEM, rc, "%s: cannot write the job's file: %s", detach.dir,
		       strerror(rc));
		detach_end(EXIT_FAILED);
		exit(EXIT_FAILED);
	}
}

static void print_job(long id, const char *from, const char *to)
{
	if (events_are_json())
		json_line(stdout, "job", job_new(id, from, to));
	else
		printf("%ld\n", id);
}

/* Wait for the child. Prints its id when it has begun; returns the exit status. */
static int parent_wait(pid_t pid, int begun, const char *from, const char *to)
{
	char byte;
	ssize_t n;
	int status;

	do {
		n = read(begun, &byte, 1);
	} while (n < 0 && errno == EINTR && !canceled(NULL));
	if (n == 1) {
		print_job(pid, from, to);
		return finish_stdout(EXIT_DONE);
	}
	if (n < 0)
		kill(pid, SIGTERM);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

int detach_start(const char *from, const char *to)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return failed(FAILURE_SYSTEM, errno, "cannot make a pipe: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return failed(FAILURE_SYSTEM, errno, "cannot start a process: %s", strerror(errno));
	close(fds[pid ? 1 : 0]);
	if (pid)
		return parent_wait(pid, fds[0], from, to);
	detach.begun = fds[1];
	child_prepare(from, to);
	return -1;
}

/* It is running: let the parent end, and give up its terminal. */
static void leave_parent(void)
{
	int null;

	if (detach.begun < 0)
		return;
	if (write(detach.begun, "B", 1) != 1)
		say("the parent process has ended");
	close(detach.begun);
	detach.begun = -1;
	fflush(NULL);
	stderr_wait(1);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

static void set_status(const struct gdump_job_status *status)
{
	pthread_mutex_lock(&detach.lock);
	json_object_set_new(detach.job, "done", json_count(status->done));
	json_object_set_new(detach.job, "total", json_count(status->total));
	pthread_mutex_unlock(&detach.lock);
}

/* The job as JSON text, to be freed */
static char *job_answer(void)
{
	char *ret;

	pthread_mutex_lock(&detach.lock);
	ret = json_dumps(detach.job, 0);
	pthread_mutex_unlock(&detach.lock);
	return ret;
}

/* Answer a client, without waiting for a slow one. */
static void serve(struct gdump_job *job, const struct gdump_job_status *status)
{
	struct pollfd p = { .fd = accept4(detach.listener, NULL, NULL, SOCK_CLOEXEC),
			    .events = POLLIN };
	char word[16] = "", *answer;

	if (p.fd < 0)
		return;
	if (poll(&p, 1, PATIENCE_MS) > 0 && recv(p.fd, word, sizeof(word) - 1, 0) > 0) {
		if (!strcmp(word, "cancel\n"))
			gdump_job_cancel(job);
		set_status(status);
		answer = job_answer();
		if (answer)
			send(p.fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
		free(answer);
	}
	close(p.fd);
}

static bool progress_or_signal(void *arg, uint64_t done, uint64_t total)
{
	(void)arg, (void)done, (void)total;
	return canceled(NULL);
}

struct gdump_error *detach_write(struct gdump *g, const struct gdump_plan *plan, const char *to,
				 const struct gdump_write_options *opt)
{
	struct gdump_write_options write = *opt;
	const struct gdump_job_options options = { .size = sizeof(options), .path = to,
						   .plan = plan, .write = &write };
	struct gdump_job_status status = { .size = sizeof(status) };
	struct pollfd p = { .fd = detach.listener, .events = POLLIN };
	struct gdump_error *err;
	struct gdump_job *job;
	bool begun = false;

	write.progress = progress_or_signal;
	err = gdump_job_start(g, &options, &job);
	if (err)
		return err;
	for (gdump_job_query(job, &status); status.state == GDUMP_JOB_ACTIVE;
	     gdump_job_query(job, &status)) {
		/* after one tick, the output is open or the job has failed */
		if (begun)
			leave_parent();
		if (poll(&p, 1, TICK_MS) > 0)
			serve(job, &status);
		begun = true;
	}
	set_status(&status);
	return gdump_job_wait(job);
}

void detach_end(int status)
{
	/* then OUTPUT is there, even if it is incomplete */
	const bool completed = json_is_object(json_object_get(detach.job, "result"));
	const bool never_begun = detach.begun >= 0 && !completed;
	char *json = jobs_path(detach.dir, detach.id, "json");
	char *sock = jobs_path(detach.dir, detach.id, "sock");

	events_observe(NULL);
	json_object_set_new(detach.job, "state", json_string(
		completed ? "completed" : status == EXIT_CANCELED ? "canceled" : "failed"));
	json_object_set_new(detach.job, "status", json_integer(status));
	json_object_set_new(detach.job, "end_time", json_count((uint64_t)time(NULL)));
	if (never_begun)
		unlink(json);           /* the parent reports it */
	else
		jobs_write(detach.dir, detach.id, detach.job);
	unlink(sock);
	close(detach.listener);
	if (completed)
		leave_parent();
	json_decref(detach.job);
	free(json);
	free(sock);
	free(detach.dir);
}
