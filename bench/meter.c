/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * meter.c - how fast parts of the library are; bench/run calls it
 *
 *     meter plan FILE            plan level 31 of a dump
 *     meter decrypt FILE KEY     read a protected guest's dump
 *     meter pipeline THREADS MICROSECONDS
 *         carry pages that need no work but to wait so long for each batch, as if each
 *         thread had a CPU of its own and a codec that takes so long
 *
 * The last line that it prints is JSON.  "rate" is per second of CPU time: pages, or MiB
 * for decrypt; "throughput" is pages per second.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "arch/arch.h"
#include "guestdump.h"
#include "write/pipeline.h"
#include "machine/source.h"
#include "util/bits.h"

enum { PAGE = 4096, READ_BYTES = 512 << 10, LEVEL = 31 };

static void must(struct gdump_error *err)
{
	if (!err)
		return;
	fprintf(stderr, "meter: %s\n", gdump_error_message(err));
	exit(1);
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double user_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6;
}

/* What was begun when */
struct times {
	double wall, cpu, user;
};

static struct times times_begin(void)
{
	return (struct times){ seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID),
			      user_seconds() };
}

/* The clock of user time ticks slowly: 0, where it has not */
static double per(double units, double seconds_taken)
{
	return seconds_taken > 0 ? units / seconds_taken : 0;
}

static void times_end(const struct times *from, double units)
{
	const double wall = seconds(CLOCK_MONOTONIC) - from->wall;
	const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - from->cpu;
	const double user = user_seconds() - from->user;

	printf("{\"units\": %.0f, \"part_wall\": %.6f, \"part_cpu\": %.6f, \"part_user\": %.6f, "
	       "\"rate\": %.1f, \"user_rate\": %.1f, \"throughput\": %.1f}\n",
	       units, wall, cpu, user, per(units, cpu), per(units, user), per(units, wall));
}

/* Several times: one takes milliseconds only. */
static void meter_plan(const char *path)
{
	const struct gdump_open_options opt = { .size = sizeof(opt) };
	enum { TIMES = 10 };
	struct gdump *g;
	struct gdump_plan *plan;
	struct times began;
	double pages = 0;

	must(gdump_open(path, &opt, &g));
	must(gdump_plan_create(g, LEVEL, &plan));       /* what is lazy is done by now */
	if (gdump_plan_warning(plan)) {
		fprintf(stderr, "meter: %s\n", gdump_plan_warning(plan));
		exit(1);
	}
	gdump_plan_destroy(plan);
	began = times_begin();
	for (int i = 0; i < TIMES; i++) {
		must(gdump_plan_create(g, LEVEL, &plan));
		pages += (double)gdump_info(g)->num_pages;
		gdump_plan_destroy(plan);
	}
	times_end(&began, pages);
	gdump_close(g);
}

/* In pieces as the pipeline's batches; counts what was encrypted. */
static void meter_decrypt(const char *path, const char *key)
{
	const struct gdump_open_options opt = { .size = sizeof(opt), .key_file = key };
	struct gdump_protection protection = { .size = sizeof(protection) };
	unsigned char *buf = malloc(READ_BYTES);
	struct gdump *g;
	struct times began;

	must(gdump_open(path, &opt, &g));
	must(gdump_protection(g, &protection));
	if (!buf)
		exit(1);
	began = times_begin();
	for (size_t i = 0; i < gdump_info(g)->num_ranges; i++) {
		const struct gdump_range *r = &gdump_info(g)->ranges[i];

		for (uint64_t off = 0; off < r->size; off += READ_BYTES)
			must(gdump_read(g, r->start + off, buf,
					(size_t)MIN(r->size - off, READ_BYTES)));
	}
	times_end(&began, (double)protection.encrypted * PAGE / (1 << 20));
	gdump_close(g);
	free(buf);
}

struct idle_source {
	struct source source;
	unsigned int microseconds;
};

/* Called once for each batch. */
static struct gdump_error *idle_scan(struct source *s, uint64_t pfn, size_t num,
				     unsigned char *state, bool holes)
{
	const unsigned int us = ((struct idle_source *)s)->microseconds;

	(void)pfn, (void)holes;
	memset(state, PAGE_HOLE, num);
	if (us)
		usleep(us);
	return NULL;
}

static struct gdump_error *idle_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	(void)s, (void)paddr;
	memset(buf, 0, len);
	return NULL;
}

static void idle_close(struct source *s)
{
	(void)s;
}

static void null_place(struct writer *w, struct batch *b)
{
	(void)w, (void)b;
}

static struct gdump_error *null_store(struct writer *w, const struct batch *b)
{
	(void)w, (void)b;
	return NULL;
}

static void meter_pipeline(unsigned int threads, unsigned int microseconds)
{
	static const struct source_ops ops = {
		.name = "idle", .read = idle_read, .scan = idle_scan, .close = idle_close,
	};
	static const struct writer_ops writer_ops = { .place = null_place, .store = null_store };
	/* some seconds' work */
	const uint64_t pages = microseconds ? (uint64_t)threads * 128 * 500 : 64u << 20;
	const struct pipeline_options opt = { .threads = threads };
	struct idle_source s = { .microseconds = microseconds };
	struct writer w = { .ops = &writer_ops };
	struct gdump_result result = { 0 };
	struct gdump_plan *plan;
	struct times began;

	prctl(PR_SET_TIMERSLACK, 1);
	source_init(&s.source, &ops);
	s.source.image.machine = EM_X86_64;
	must(image_add_range(&s.source.image, 0, pages * PAGE, GDUMP_RANGE_RAM));
	must(image_seal(&s.source.image));
	must(plan_create(&s.source, &plan));
	began = times_begin();
	must(pipeline_run(&s.source, plan, &w, &opt, &result));
	times_end(&began, (double)result.pages);
	gdump_plan_destroy(plan);
	source_close(&s.source);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "plan"))
		meter_plan(argv[2]);
	else if (argc == 4 && !strcmp(argv[1], "decrypt"))
		meter_decrypt(argv[2], argv[3]);
	else if (argc == 4 && !strcmp(argv[1], "pipeline"))
		meter_pipeline((unsigned int)atoi(argv[2]), (unsigned int)atoi(argv[3]));
	else
		return 2;
	return 0;
}
