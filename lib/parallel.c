/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "parallel.h"

#include <pthread.h>
#include <unistd.h>

#include "util/bits.h"

struct call {
	struct parallel *p;
	struct gdump_error *(*fn)(void *arg, struct parallel *p);
	void *arg;
	pthread_t thread;
	struct gdump_error *err;
};

unsigned int parallel_threads(unsigned int asked)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (!asked)
		asked = cpus > 0 ? (unsigned int)cpus : 1;
	return MIN(asked, PARALLEL_MAX);
}

static void *call_run(void *arg)
{
	struct call *c = arg;

	c->err = c->fn(c->arg, c->p);
	return NULL;
}

struct gdump_error *parallel_run(unsigned int threads, uint64_t num,
				 struct gdump_error *(*fn)(void *arg, struct parallel *p),
				 void *arg)
{
	struct parallel p = { .num = num };
	struct call calls[PARALLEL_MAX];
	unsigned int n = 0, want = (unsigned int)MIN(parallel_threads(threads), MAX(num, 1));
	struct gdump_error *err;

	/* this thread is one of them; fewer than wanted will do */
	for (; n + 1 < want; n++) {
		calls[n] = (struct call){ .p = &p, .fn = fn, .arg = arg };
		if (pthread_create(&calls[n].thread, NULL, call_run, &calls[n]))
			break;
	}
	err = fn(arg, &p);
	while (n--) {
		pthread_join(calls[n].thread, NULL);
		if (err)
			gdump_error_destroy(calls[n].err);
		else
			err = calls[n].err;
	}
	return err;
}
