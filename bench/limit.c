/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * limit.c - what no program can do faster on this machine; bench/run calls it
 *
 *     limit pages FROM TO LEVEL FILE OUT
 *         the codecs alone, on the pages of the dump FILE, with a thread on each CPU: each page
 *         that is not zero, as FROM has compressed it, is decompressed and compressed by TO;
 *         and a bare copy of the bytes that this makes to OUT, with fsync().  "-" for FROM or
 *         TO: no such codec; "=" for TO: what FROM has compressed is only checked, and kept.
 *     limit copy FILE OUT
 *         a bare copy of FILE's bytes, without its holes, with fsync()
 *
 * The last line that it prints is JSON.  "wall" is the limit in seconds: no less than the copy
 * takes, and no less than the CPU time of codecs and copy takes when all CPUs share it.  Reading
 * FILE, and compressing by FROM, are not counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "codec/codec.h"
#include "guestdump.h"
#include "parallel.h"
#include "util/bits.h"

enum { PAGE = 4096, BATCH = 128, COPY_BYTES = 1 << 20 };

struct pages {
	struct gdump *g;
	const struct codec *from, *to;
	bool keep;
	int level;
	const struct gdump_range *range;        /* its pages are the work now  */
	uint64_t cpu_ns;
	uint64_t bytes;                         /* that are written            */
};

/* One thread's own */
struct worker {
	struct pages *pages;
	void *compress_from, *decompress_from, *compress_to;
	unsigned char batch[BATCH * PAGE], packed[PAGE], page[PAGE], result[PAGE];
};

struct spent {
	double wall, cpu;
};

static void fail(const char *what)
{
	fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void must(struct gdump_error *err)
{
	if (!err)
		return;
	fprintf(stderr, "limit: %s\n", gdump_error_message(err));
	exit(1);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static const struct codec *find_codec(const char *name)
{
	const struct codec *codec = codec_find(name);

	if (!strcmp(name, "-") || !strcmp(name, "="))
		return NULL;
	if (codec && codec->compress_open)
		return codec;
	fprintf(stderr, "limit: this build has no codec %s\n", name);
	exit(1);
}

static void worker_open(struct worker *w)
{
	const struct pages *p = w->pages;

	if (p->from) {
		w->compress_from = p->from->compress_open(p->from->default_level, PAGE);
		w->decompress_from = p->from->decompress_open();
	}
	if (p->to)
		w->compress_to = p->to->compress_open(p->level, PAGE);
	if ((p->from && !(w->compress_from && w->decompress_from)) || (p->to && !w->compress_to))
		fail("codec");
}

static void worker_close(struct worker *w)
{
	const struct pages *p = w->pages;

	if (p->from) {
		p->from->compress_close(w->compress_from);
		p->from->decompress_close(w->decompress_from);
	}
	if (p->to)
		p->to->compress_close(w->compress_to);
	free(w);
}

/* Bytes in the file, which has a page that does not get smaller uncompressed */
static size_t worker_recompress(struct worker *w, const unsigned char *page, size_t packed)
{
	const struct pages *p = w->pages;
	size_t len = p->keep ? packed : 0;

	if (packed) {
		if (!p->from->decompress(w->decompress_from, w->page, PAGE, w->packed, packed))
			fail("a page does not decompress");
		page = w->page;
	}
	if (p->to)
		len = p->to->compress(w->compress_to, w->result, PAGE - 1, page, PAGE);
	return len ? len : PAGE;
}

static void worker_page(struct worker *w, const unsigned char *page)
{
	struct pages *p = w->pages;
	size_t packed = 0, bytes;
	uint64_t began;

	if (p->from)
		packed = p->from->compress(w->compress_from, w->packed, PAGE - 1, page, PAGE);
	began = now_ns(CLOCK_THREAD_CPUTIME_ID);
	bytes = worker_recompress(w, page, packed);
	__atomic_fetch_add(&p->cpu_ns, now_ns(CLOCK_THREAD_CPUTIME_ID) - began, __ATOMIC_RELAXED);
	__atomic_fetch_add(&p->bytes, bytes, __ATOMIC_RELAXED);
}

/* Read pages; those that were omitted become zeros, which cost nothing. */
static void worker_read(struct worker *w, uint64_t paddr, size_t num)
{
	struct gdump_error *err = gdump_read(w->pages->g, paddr, w->batch, num * PAGE);

	for (size_t i = 0; err && i < num; i++) {
		unsigned char *page = w->batch + i * PAGE;
		struct gdump_error *omitted = gdump_read(w->pages->g, paddr + i * PAGE, page, PAGE);

		if (omitted)
			memset(page, 0, PAGE);
		gdump_error_destroy(omitted);
	}
	gdump_error_destroy(err);
}

static void worker_batch(struct worker *w, uint64_t paddr, size_t num)
{
	worker_read(w, paddr, num);
	for (size_t i = 0; i < num; i++) {
		if (!is_zero(w->batch + i * PAGE, PAGE))
			worker_page(w, w->batch + i * PAGE);
	}
}

static struct gdump_error *pages_work(void *arg, struct parallel *parallel)
{
	struct pages *p = arg;
	struct worker *w = calloc(1, sizeof(*w));
	uint64_t item;

	if (!w)
		fail("memory");
	w->pages = p;
	worker_open(w);
	while (parallel_next(parallel, &item)) {
		const uint64_t first = item * BATCH;

		worker_batch(w, p->range->start + first * PAGE,
			     (size_t)MIN(p->range->size / PAGE - first, BATCH));
	}
	worker_close(w);
	return NULL;
}

static void copy_all(int in, int out, uint64_t len)
{
	static char buf[COPY_BYTES];

	while (len) {
		const size_t part = (size_t)MIN(len, sizeof(buf));
		const ssize_t n = in < 0 ? (ssize_t)part : read(in, buf, part);

		if (n <= 0)
			fail("read");
		for (ssize_t done = 0, now; done < n; done += now) {
			now = write(out, buf + done, (size_t)(n - done));
			if (now <= 0)
				fail("write");
		}
		len -= (uint64_t)n;
	}
}

/* Copy the data of @in; holes stay holes. */
static void copy_data(int in, int out)
{
	off_t end = 0;

	for (off_t data; (data = lseek(in, end, SEEK_DATA)) >= 0; ) {
		end = lseek(in, data, SEEK_HOLE);
		if (end < 0 || lseek(in, data, SEEK_SET) < 0 || lseek(out, data, SEEK_SET) < 0)
			fail("seek");
		copy_all(in, out, (uint64_t)(end - data));
	}
}

/* @in -1: write @len bytes of zeros */
static struct spent copy(int in, const char *path, uint64_t len)
{
	const int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const uint64_t wall = now_ns(CLOCK_MONOTONIC), cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	struct spent spent;

	if (out < 0)
		fail(path);
	if (in < 0)
		copy_all(in, out, len);
	else
		copy_data(in, out);
	if (fsync(out))
		fail(path);
	spent = (struct spent){ (double)(now_ns(CLOCK_MONOTONIC) - wall) / 1e9,
				(double)(now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e9 };
	close(out);
	return spent;
}

static void print(double codec_cpu, const struct spent *copy)
{
	const double cpu = codec_cpu + copy->cpu, shared = cpu / parallel_threads(0);

	printf("{\"wall\": %.6f, \"cpu\": %.6f, \"codec_cpu\": %.6f, \"copy_wall\": %.6f}\n",
	       shared > copy->wall ? shared : copy->wall, cpu, codec_cpu, copy->wall);
}

static void limit_pages(const char *from, const char *to, const char *level, const char *path,
			const char *out)
{
	const struct gdump_open_options opt = { .size = sizeof(opt) };
	struct pages p = { .from = find_codec(from), .to = find_codec(to),
			   .keep = !strcmp(to, "="), .level = atoi(level) };
	struct spent spent;

	must(gdump_open(path, &opt, &p.g));
	for (size_t i = 0; i < gdump_info(p.g)->num_ranges; i++) {
		p.range = &gdump_info(p.g)->ranges[i];
		must(parallel_run(0, (p.range->size / PAGE + BATCH - 1) / BATCH, pages_work, &p));
	}
	gdump_close(p.g);
	spent = copy(-1, out, p.bytes);
	print((double)p.cpu_ns / 1e9, &spent);
}

static void limit_copy(const char *path, const char *out)
{
	const int in = open(path, O_RDONLY | O_CLOEXEC);
	struct spent spent;

	if (in < 0)
		fail(path);
	spent = copy(in, out, 0);
	close(in);
	print(0, &spent);
}

int main(int argc, char **argv)
{
	if (argc == 7 && !strcmp(argv[1], "pages"))
		limit_pages(argv[2], argv[3], argv[4], argv[5], argv[6]);
	else if (argc == 4 && !strcmp(argv[1], "copy"))
		limit_copy(argv[2], argv[3]);
	else
		return 2;
	return 0;
}
