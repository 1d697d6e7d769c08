/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_job.c - dumps beside the caller: how they are asked, canceled and end
 */
#include "check.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

enum { SIZE = 8 << 20 };

static char path[] = "/tmp/gd-test-job.XXXXXX", left[64];
static unsigned char *memory;
static sem_t reached, go_on, ended;

static struct gdump *open_guest(void)
{
	const struct gdump_slot slot = { .size = SIZE, .host = memory };
	const struct gdump_guest desc = { .size = sizeof(desc), .slots = &slot, .num_slots = 1 };
	struct gdump *g = NULL;

	CHECK_OK(gdump_open_guest(&desc, NULL, &g));
	if (!g)
		exit(check_done());
	return g;
}

/* The job stands still at its first progress, until it is let go on. */
static bool hold(void *arg, uint64_t done, uint64_t total)
{
	bool *held = arg;

	(void)done;
	CHECK_INT(total, SIZE / 4096);
	if (!*held) {
		*held = true;
		sem_post(&reached);
		sem_wait(&go_on);
	}
	return false;
}

static void on_end(void *arg, struct gdump_job *job)
{
	struct gdump_job_status status = { .size = sizeof(status) };

	gdump_job_query(job, &status);
	*(enum gdump_job_state *)arg = status.state;
	sem_post(&ended);
}

static enum gdump_job_state query(struct gdump_job *job, uint64_t *done, uint64_t *total)
{
	struct gdump_job_status status = { .size = sizeof(status) };

	gdump_job_query(job, &status);
	*done = status.done;
	*total = status.total;
	CHECK(!status.error == (status.state != GDUMP_JOB_FAILED));
	return status.state;
}

struct run {
	struct gdump *g;
	struct gdump_job *job;
	bool held;
	enum gdump_job_state at_end;
};

/* @held: it does not stand still. */
static void start(struct run *r, const char *to, bool held)
{
	char format[] = "elf", where[64];
	struct gdump_write_options write = { .size = sizeof(write), .format = format,
					     .force = true, .threads = 2, .progress = hold,
					     .progress_arg = &r->held };
	const struct gdump_job_options opt = { .size = sizeof(opt), .path = where, .write = &write,
					       .ended = on_end, .ended_arg = &r->at_end };

	*r = (struct run){ .g = open_guest(), .held = held };
	snprintf(where, sizeof(where), "%s", to);
	CHECK_OK(gdump_job_start(r->g, &opt, &r->job));
	if (!r->job)
		exit(check_done());
	/* these are not the job's any more */
	memset(&write, 0xff, sizeof(write));
	memset(format, 'x', sizeof(format) - 1);
	memset(where, 'x', sizeof(where) - 1);
	if (!held)
		sem_wait(&reached);
}

static void test_completed(void)
{
	uint64_t done, total;
	struct gdump *file = NULL;
	struct run r;

	start(&r, path, false);
	CHECK_INT(query(r.job, &done, &total), GDUMP_JOB_ACTIVE);
	CHECK_INT(total, SIZE);
	CHECK(done <= total);
	sem_post(&go_on);
	sem_wait(&ended);
	CHECK_INT(r.at_end, GDUMP_JOB_COMPLETED);
	CHECK_INT(query(r.job, &done, &total), GDUMP_JOB_COMPLETED);
	CHECK_INT(done, total);
	CHECK_OK(gdump_job_wait(r.job));
	gdump_close(r.g);
	CHECK_OK(gdump_open(path, NULL, &file));
	CHECK(file && gdump_info(file)->num_pages == SIZE / 4096);
	gdump_close(file);
}

static void test_canceled(void)
{
	uint64_t done, total;
	struct run r;

	start(&r, path, false);
	gdump_job_cancel(r.job);
	sem_post(&go_on);
	sem_wait(&ended);
	/* the workers may have been quick */
	if (query(r.job, &done, &total) == GDUMP_JOB_COMPLETED) {
		CHECK_OK(gdump_job_wait(r.job));
	} else {
		CHECK_INT(r.at_end, GDUMP_JOB_FAILED);
		CHECK_ERR(gdump_job_wait(r.job), GDUMP_ERR_CANCELED, "canceled");
	}
	gdump_close(r.g);
	unlink(left);
}

static void test_failed(void)
{
	struct run r;
	uint64_t done, total;

	start(&r, "/dev/full", true);
	sem_wait(&ended);
	CHECK_INT(query(r.job, &done, &total), GDUMP_JOB_FAILED);
	CHECK_ERR(gdump_job_wait(r.job), GDUMP_ERR_OS, "No space left");
	gdump_close(r.g);
}

/* Two jobs of two guests, and none */
static void test_several(void)
{
	char second[64];
	struct run a, b;
	uint64_t done, total;

	CHECK_INT(query(NULL, &done, &total), GDUMP_JOB_NONE);
	snprintf(second, sizeof(second), "%s.2", path);
	start(&a, path, false);
	start(&b, second, false);
	sem_post(&go_on);
	sem_post(&go_on);
	CHECK_OK(gdump_job_wait(a.job));
	CHECK_OK(gdump_job_wait(b.job));
	CHECK_OK(gdump_job_wait(NULL));
	CHECK(a.at_end == GDUMP_JOB_COMPLETED && b.at_end == GDUMP_JOB_COMPLETED);
	sem_wait(&ended);
	sem_wait(&ended);
	gdump_close(a.g);
	gdump_close(b.g);
	unlink(second);
}

/* What is wrong from the start is told at once. */
static void test_refused(void)
{
	const struct gdump_write_options write = { .size = sizeof(write), .format = "paper" };
	struct gdump_job_options opt = { .size = sizeof(opt), .path = path, .write = &write };
	struct gdump *g = open_guest();
	struct gdump_job *job = NULL;

	CHECK_ERR(gdump_job_start(g, &opt, &job), GDUMP_ERR_USAGE, "format 'paper'");
	opt.write = NULL;
	CHECK_ERR(gdump_job_start(g, &opt, &job), GDUMP_ERR_OS, "already exists");
	CHECK(!job);
	gdump_close(g);
}

int main(void)
{
	CHECK(mkstemp(path) >= 0);
	snprintf(left, sizeof(left), "%s.incomplete", path);
	memory = malloc(SIZE);
	for (int i = 0; i < SIZE; i++)
		memory[i] = (unsigned char)(i / 4096 + i);
	sem_init(&reached, 0, 0);
	sem_init(&go_on, 0, 0);
	sem_init(&ended, 0, 0);
	test_completed();
	test_canceled();
	test_failed();
	test_several();
	test_refused();
	free(memory);
	unlink(path);
	return check_done();
}
