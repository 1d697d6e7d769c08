/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_push.c - a source that gives its pages in an order of its own
 *
 * The writer keeps each page at its place, so the order must not show in the result.
 */
#include "check.h"

#include <elf.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "arch/arch.h"
#include "write/pipeline.h"
#include "random.h"
#include "util/bits.h"

enum {
	PAGE = 4096,
	NUM_PAGES = 3000,
	BATCH_PAGES = 128,              /* as the pipeline cuts them            */
	SLOTS = 4,                      /* it has for each thread               */
	NEVER = NUM_PAGES,
};

struct pusher {
	struct source source;
	uint64_t order[2 * NUM_PAGES];  /* pfns                                 */
	size_t num;
	size_t fail_at, slow_at;        /* in that order                        */
	bool all_anyway;                /* goes on when nobody wants any more   */
	bool in_place;                  /* writes pages to where there is room  */
	size_t placed;                  /* pages that it did so                 */
	const struct keeper *waits;     /* for it to store each batch           */
	atomic_size_t pushed;
	atomic_int over, all_read;
};

struct keeper {
	struct writer writer;
	unsigned char memory[NUM_PAGES * PAGE];
	unsigned char times[NUM_PAGES]; /* that a page came                     */
	uint64_t fail_at;               /* page that cannot be stored           */
	unsigned int store_us;
	size_t wants_ahead;             /* it stores nothing before so many wait */
	atomic_size_t stored;
	struct pusher *pusher;
	atomic_size_t most_ahead;       /* pages that wait between the two      */
	const unsigned char *bufs[8];   /* all that data were in                */
	size_t num_bufs;
};

static void fill_page(unsigned char *page, uint64_t pfn, unsigned int version)
{
	memset(page, pfn % 7 == 3 ? 0 : (int)(pfn % 251 + version), PAGE);
	if (pfn % 7 != 3)
		memcpy(page, &pfn, sizeof(pfn));
}

/* Where page @i of the order can be made: in the pipeline, as long as there is room */
static unsigned char *place_for(struct pusher *f, const struct page_sink *to, size_t i,
				unsigned char *page)
{
	size_t num = 0;
	unsigned char *room = f->in_place && i % 3 ? to->reserve(to->arg, &num) : NULL;

	if (!room)
		return page;
	CHECK(num > 0 && num <= BATCH_PAGES);
	f->placed++;
	memset(room, 0xee, num * PAGE);
	/* not at the start: what is in front was not good */
	return room + (num - 1) / 16 * PAGE;
}

static struct gdump_error *push(struct source *s, const struct page_sink *to)
{
	struct pusher *f = (struct pusher *)s;
	unsigned char buf[PAGE], seen[NUM_PAGES] = { 0 };
	struct gdump_error *err = NULL;

	for (size_t i = 0; i < f->num; i++) {
		const uint64_t pfn = f->order[i];
		struct gdump_error *page_err;
		unsigned char *page;

		if (i == f->fail_at) {
			err = error_new(GDUMP_ERR_REMOTE, "the stream broke off");
			break;
		}
		if (i == f->slow_at)
			usleep(50000);
		while (f->waits && i % BATCH_PAGES == 0 && atomic_load(&f->waits->stored) < i)
			usleep(100);
		if (seen[pfn])
			CHECK(!to->wants(to->arg, pfn));
		page = place_for(f, to, i, buf);
		/* another time it is not the same any more */
		fill_page(page, pfn, seen[pfn]++);
		page_err = to->put(to->arg, pfn, is_zero(page, PAGE) ? NULL : page);
		atomic_fetch_add(&f->pushed, 1);
		if (page_err)
			CHECK(to->canceled(to->arg));
		if (page_err && !f->all_anyway) {
			err = page_err;
			break;
		}
		gdump_error_destroy(page_err);
	}
	CHECK(!f->in_place || f->placed > 0);
	atomic_fetch_add(&f->over, 1);
	return err;
}

static struct gdump_error *no_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	(void)s, (void)paddr, (void)buf, (void)len;
	return error_new(GDUMP_ERR_REMOTE, "this one must not be read");
}

static void pusher_close(struct source *s)
{
	free(s);
}

static const struct source_ops pusher_ops = {
	.name = "pusher", .order = READ_PUSHED, .read = no_read, .push = push, .close = pusher_close,
};

/* Two ranges; all pages come once, in order. */
static struct pusher *pusher_create(void)
{
	struct pusher *f = calloc(1, sizeof(*f));

	source_init(&f->source, &pusher_ops);
	f->source.image.machine = EM_X86_64;
	CHECK_OK(image_add_range(&f->source.image, 0, 1000 * PAGE, 0));
	CHECK_OK(image_add_range(&f->source.image, 1500 * PAGE, (NUM_PAGES - 1500) * PAGE, 0));
	CHECK_OK(image_seal(&f->source.image));
	f->fail_at = f->slow_at = SIZE_MAX;
	for (uint64_t pfn = 0; pfn < NUM_PAGES; pfn++)
		if (pfn < 1000 || pfn >= 1500)
			f->order[f->num++] = pfn;
	return f;
}

static void shuffle(struct pusher *f, uint64_t seed)
{
	for (size_t i = f->num - 1; i; i--) {
		const size_t k = (size_t)random_below(&seed, i + 1);
		const uint64_t pfn = f->order[i];

		f->order[i] = f->order[k];
		f->order[k] = pfn;
	}
}

static void count_buf(struct keeper *k, const unsigned char *buf)
{
	size_t i = 0;

	while (i < k->num_bufs && k->bufs[i] != buf)
		i++;
	if (i == k->num_bufs && i < ARRAY_SIZE(k->bufs))
		k->bufs[k->num_bufs++] = buf;
}

static size_t pages_ahead(const struct keeper *k)
{
	return atomic_load(&k->pusher->pushed) - atomic_load(&k->stored);
}

/* A disk that is slower than what pushes, however busy the machine is; if that stands still
 * before so many wait, once for ten seconds.
 */
static void wait_for_more(struct keeper *k)
{
	unsigned int ms = 0;

	while (pages_ahead(k) < k->wants_ahead && !atomic_load(&k->pusher->over) && ms++ < 10000)
		usleep(1000);
	if (ms > 10000)
		k->wants_ahead = 0;
}

static struct gdump_error *store(struct writer *writer, const struct batch *b)
{
	struct keeper *k = (struct keeper *)writer;
	const unsigned char *data = b->data;
	size_t ahead, most = atomic_load(&k->most_ahead);

	wait_for_more(k);
	ahead = pages_ahead(k);
	while (most < ahead && !atomic_compare_exchange_weak(&k->most_ahead, &most, ahead))
		;
	usleep(k->store_us);
	if (k->pusher->waits)
		count_buf(k, data);
	for (size_t i = 0; i < b->num_pages; i++) {
		const struct page *p = &b->pages[i];

		if (p->pfn == k->fail_at)
			return error_new(GDUMP_ERR_OS, "disk full");
		k->times[p->pfn]++;
		memcpy(k->memory + p->pfn * PAGE, data, p->len);
		data += p->len;
	}
	atomic_fetch_add(&k->stored, b->num_pages);
	return NULL;
}

static const struct writer_ops keeper_ops = { .store = store };

static struct keeper *keeper_create(struct pusher *f)
{
	struct keeper *k = calloc(1, sizeof(*k));

	k->writer.ops = &keeper_ops;
	k->fail_at = NEVER;
	k->pusher = f;
	return k;
}

static struct gdump_error *on_all_read(void *arg)
{
	struct pusher *f = arg;

	CHECK_INT(atomic_load(&f->over), 1);
	atomic_fetch_add(&f->all_read, 1);
	return NULL;
}

/* Push all of the plan (NULL: everything); the caller frees @k and the result's why. */
static struct gdump_error *run(struct pusher *f, struct keeper *k, const struct gdump_plan *plan,
			       struct pipeline_options opt, struct gdump_result *result)
{
	struct gdump_plan *whole = NULL;
	struct gdump_error *err;

	opt.all_read = on_all_read;
	opt.all_read_arg = f;
	*result = (struct gdump_result){ 0 };
	if (!plan)
		CHECK_OK(plan_create(&f->source, &whole));
	err = pipeline_run(&f->source, plan ? plan : whole, &k->writer, &opt, result);
	/* nobody is left alone with a source that still pushes */
	CHECK(atomic_load(&f->over));
	if (!err) {
		CHECK_INT(atomic_load(&f->all_read), 1);
		CHECK_INT(result->pages + result->unreadable,
			  gdump_plan_kept(plan ? plan : whole));
		CHECK_INT(result->pages, result->zero + result->uncompressed);
	}
	gdump_plan_destroy(whole);
	source_close(&f->source);
	return err;
}

/* Each of [from, to) is there once, as it came first. */
static void check_pages(const struct keeper *k, uint64_t from, uint64_t to)
{
	unsigned char page[PAGE];

	for (uint64_t pfn = from; pfn < to; pfn++) {
		fill_page(page, pfn, 0);
		CHECK_INT(k->times[pfn], 1);
		CHECK(!memcmp(k->memory + pfn * PAGE, page, PAGE));
	}
}

/* @in_place: pages are made where the pipeline has room, and need not be copied. */
static void test_any_order(bool in_place)
{
	static const unsigned int threads[] = { 1, 2, 7 };

	for (unsigned int i = 0; i < 9; i++) {
		struct pusher *f = pusher_create();
		struct keeper *k = keeper_create(f);
		struct gdump_result result;

		if (i >= 3)
			shuffle(f, i);
		f->slow_at = i % 2 ? f->num - 1 : 0;
		f->in_place = in_place;
		CHECK_OK(run(f, k, NULL, (struct pipeline_options){ .threads = threads[i % 3] },
			     &result));
		CHECK_INT(result.pages, 2500);
		CHECK_INT(result.unreadable, 0);
		CHECK(!k->writer.incomplete);
		check_pages(k, 0, 1000);
		check_pages(k, 1500, NUM_PAGES);
		free(k);
	}
}

/* Pages that come again, also long after, count once; so do pages that nobody asked for:
 * not at all.
 */
static void test_again(void)
{
	struct pusher *f = pusher_create();
	struct keeper *k = keeper_create(f);
	struct gdump_result result;
	struct gdump_plan *plan;

	for (uint64_t pfn = 0; pfn < NUM_PAGES; pfn += 3)
		f->order[f->num++] = pfn;       /* some are in no range */
	shuffle(f, 77);
	f->order[f->num] = f->order[f->num - 1];
	f->num++;
	CHECK_OK(plan_create(&f->source, &plan));
	plan->kept -= plan_drop(plan, 100, 50);
	CHECK_OK(run(f, k, plan, (struct pipeline_options){ .threads = 3 }, &result));
	CHECK_INT(result.pages, 2450);
	CHECK_INT(result.unreadable, 0);
	CHECK(!k->writer.incomplete);
	check_pages(k, 0, 100);
	CHECK_INT(k->times[100] + k->times[149] + k->times[1200], 0);
	check_pages(k, 150, 1000);
	check_pages(k, 1500, NUM_PAGES);
	gdump_plan_destroy(plan);
	free(k);
}

/* A page twice does not make up for one that never came. */
static void test_missing(void)
{
	struct pusher *f = pusher_create();
	struct keeper *k = keeper_create(f);
	struct gdump_result result;

	f->order[20] = 19;
	f->order[2000] = 19;            /* page 2500 */
	CHECK_OK(run(f, k, NULL, (struct pipeline_options){ .threads = 2 }, &result));
	CHECK_INT(result.pages, 2498);
	CHECK_INT(result.unreadable, 2);
	CHECK_STR(result.first_error, "the page at 0x14000 was not in the snapshot");
	CHECK(k->writer.incomplete);
	CHECK_INT(k->times[19], 1);
	CHECK_INT(k->times[20] + k->times[2500], 0);
	free(result.first_error);
	free(k);
}

static void test_nothing_comes(void)
{
	struct pusher *f = pusher_create();
	struct keeper *k = keeper_create(f);
	struct gdump_result result;

	f->num = 0;
	CHECK_OK(run(f, k, NULL, (struct pipeline_options){ .threads = 2 }, &result));
	CHECK_INT(result.unreadable, 2500);
	CHECK_STR(result.first_error, "the page at 0x0 was not in the snapshot");
	free(result.first_error);
	free(k);
}

static bool cancel_after_some(void *arg, uint64_t done, uint64_t total)
{
	(void)total;
	return done > *(uint64_t *)arg;
}

/* Whoever pushes is told, and is given the time to bring it to an end. */
static void test_cancel(void)
{
	for (unsigned int i = 0; i < 8; i++) {
		struct pusher *f = pusher_create();
		struct keeper *k = keeper_create(f);
		uint64_t after = i * 100;
		struct gdump_result result;

		f->all_anyway = i & 1;
		k->store_us = 30000;
		CHECK_ERR(run(f, k, NULL,
			      (struct pipeline_options){ .threads = i / 2 + 1,
							 .progress = cancel_after_some,
							 .progress_arg = &after }, &result),
			  GDUMP_ERR_CANCELED, "canceled");
		CHECK(result.pages < 2500);
		CHECK(!result.first_error);
		free(k);
	}
}

static void test_failures(void)
{
	for (unsigned int i = 0; i < 12; i++) {
		struct pusher *f = pusher_create();
		struct keeper *k = keeper_create(f);
		struct gdump_result result;
		bool breaks_off;

		if (i % 3)
			f->fail_at = i * 200;
		if (i % 3 != 1)
			k->fail_at = 130 + i * 50;
		f->all_anyway = i & 1;
		/* what was pushed before the stream broke off is stored, or fails to be */
		breaks_off = i % 3 == 1 || k->fail_at >= f->fail_at;
		CHECK_ERR(run(f, k, NULL, (struct pipeline_options){ .threads = i / 3 + 1 },
			      &result),
			  breaks_off ? GDUMP_ERR_REMOTE : GDUMP_ERR_OS,
			  breaks_off ? "broke off" : "disk full");
		CHECK_INT(result.unreadable, 0);
		free(k);
	}
}

/* A slow disk holds up what pushes, but only when the buffer is full. */
static void test_slow_store(void)
{
	static const uint64_t buffers[] = { 0, 8 << 20 };

	for (size_t i = 0; i < ARRAY_SIZE(buffers); i++) {
		struct pusher *f = pusher_create();
		struct keeper *k = keeper_create(f);
		const size_t room = MAX(buffers[i] / PAGE, SLOTS * BATCH_PAGES);
		struct gdump_result result;

		k->wants_ahead = room - BATCH_PAGES;
		CHECK_OK(run(f, k, NULL, (struct pipeline_options){ .threads = 1,
								    .buffer = buffers[i] },
			     &result));
		CHECK(k->most_ahead <= room + 1);
		CHECK(k->most_ahead >= room - BATCH_PAGES);
		check_pages(k, 1500, NUM_PAGES);
		free(k);
	}
}

/* Where the workers keep up a large buffer stays untouched, but for what they need. */
static void test_few_buffers(void)
{
	struct pusher *f = pusher_create();
	struct keeper *k = keeper_create(f);
	struct gdump_result result;

	f->waits = k;
	f->num = 2500 / BATCH_PAGES * BATCH_PAGES;
	CHECK_OK(run(f, k, NULL, (struct pipeline_options){ .threads = 1, .buffer = 8 << 20 },
		     &result));
	/* one is filled while the other is about to be given back */
	CHECK(k->num_bufs >= 1 && k->num_bufs <= 2);
	free(result.first_error);
	free(k);
}

int main(void)
{
	test_any_order(false);
	test_any_order(true);
	test_again();
	test_missing();
	test_nothing_comes();
	test_cancel();
	test_failures();
	test_slow_store();
	test_few_buffers();
	return check_done();
}
