/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_pipeline.c - a source and a writer that fail, stall and count
 *
 * The writer keeps the file in memory; it is the same for any number of threads.
 */
#include "check.h"

#include <elf.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "arch/arch.h"
#include "codec/codec.h"
#include "write/pipeline.h"
#include "util/bits.h"
#include "util/cursor.h"

enum {
	PAGE = 4096,
	NUM_PAGES = 3000,
	BATCH_PAGES = 128,              /* as the pipeline cuts them            */
	NEVER = NUM_PAGES,
	MAX_FILE = (NUM_PAGES + 1) * PAGE,
};

struct fake_source {
	struct source source;
	uint64_t fail_at, fail_also;    /* pages that cannot be read            */
	enum gdump_code fail_code;
	uint64_t slow_at;               /* takes long                           */
	uint64_t next_paddr;            /* of a serial source                   */
	unsigned char *memory;          /* to borrow from                       */
	atomic_int reading, all_read, reads;
};

static uint64_t page_value(uint64_t pfn)
{
	return pfn % 7 == 3 ? 0 : pfn * 0x9e3779b97f4a7c15 | 1;
}

/* One in seven is zero, one in three hard to compress. */
static void fill_page(unsigned char *page, uint64_t pfn)
{
	uint64_t value = page_value(pfn);

	for (size_t i = 0; i < PAGE; i += 8) {
		memcpy(page + i, &value, 8);
		if (value && pfn % 3 == 0)
			value = value * 0x5851f42d4c957f2d + 0x14057b7ef767814f;
	}
}

static struct gdump_error *fake_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct fake_source *f = (struct fake_source *)s;

	CHECK(!atomic_load(&f->all_read));
	CHECK(!atomic_fetch_add(&f->reading, 1) || s->ops->order != READ_ASCENDING);
	atomic_fetch_add(&f->reads, 1);
	if (s->ops->order == READ_ASCENDING) {
		CHECK(paddr >= f->next_paddr);
		f->next_paddr = paddr + len;
	}
	for (uint64_t pfn = paddr / PAGE; len; pfn++, len -= PAGE) {
		if (pfn == f->fail_at || pfn == f->fail_also) {
			atomic_fetch_sub(&f->reading, 1);
			return error_new(f->fail_code, "page %llu is bad",
					 (unsigned long long)pfn);
		}
		if (pfn == f->slow_at)
			usleep(50000);
		fill_page((unsigned char *)buf + (pfn * PAGE - paddr), pfn);
	}
	atomic_fetch_sub(&f->reading, 1);
	return NULL;
}

static const void *fake_borrow(struct source *s, uint64_t paddr, size_t len)
{
	struct fake_source *f = (struct fake_source *)s;

	(void)len;
	CHECK(!atomic_load(&f->all_read));
	/* some pages only */
	return paddr / PAGE % 5 ? f->memory + paddr : NULL;
}

/* It knows of some zero pages that they are. */
static struct gdump_error *fake_scan(struct source *s, uint64_t pfn, size_t num,
				     unsigned char *state, bool holes)
{
	(void)s, (void)holes;
	for (size_t i = 0; i < num; i++)
		state[i] = (pfn + i) % 14 == 3 ? PAGE_HOLE : PAGE_THERE;
	return NULL;
}

static void fake_close(struct source *s)
{
	free(((struct fake_source *)s)->memory);
	free(s);
}

static const struct source_ops parallel_ops = {
	.name = "fake", .read = fake_read, .scan = fake_scan, .close = fake_close,
};
static const struct source_ops serial_ops = {
	.name = "serial", .order = READ_ASCENDING, .read = fake_read, .close = fake_close,
};
static const struct source_ops borrow_ops = {
	.name = "borrow", .read = fake_read, .borrow = fake_borrow, .close = fake_close,
};

static struct fake_source *source_create(const struct source_ops *ops, uint64_t num_pages)
{
	struct fake_source *f = calloc(1, sizeof(*f));

	source_init(&f->source, ops);
	f->fail_at = f->fail_also = f->slow_at = NEVER;
	f->fail_code = GDUMP_ERR_REMOTE;
	f->source.image.machine = EM_X86_64;
	/* two ranges, so that a read may end at the first one's end */
	CHECK_OK(image_add_range(&f->source.image, 0, (num_pages - num_pages / 3) * PAGE, 0));
	CHECK_OK(image_add_range(&f->source.image, (NUM_PAGES - num_pages / 3) * PAGE,
				 num_pages / 3 * PAGE, GDUMP_RANGE_DEVICE));
	CHECK_OK(image_seal(&f->source.image));
	if (ops->borrow) {
		f->memory = malloc(NUM_PAGES * PAGE);
		for (uint64_t pfn = 0; pfn < NUM_PAGES; pfn++)
			fill_page(f->memory + pfn * PAGE, pfn);
	}
	return f;
}

struct fake_writer {
	struct writer writer;
	unsigned char *file;
	uint64_t size, next_pfn, fail_store, slow_store, store_in_order;
	atomic_int storing, num_lost;
	atomic_ullong stored_pages;
};

static void fake_place(struct writer *writer, struct batch *b)
{
	struct fake_writer *w = (struct fake_writer *)writer;

	CHECK(b->num_pages && b->pages[0].pfn >= w->next_pfn);
	w->next_pfn = b->pages[b->num_pages - 1].pfn + 1;
	b->data_off = w->size;
	w->size += b->data_len;
}

static bool batch_has(const struct batch *b, uint64_t pfn)
{
	return b->pages[0].pfn <= pfn && pfn <= b->pages[b->num_pages - 1].pfn;
}

static struct gdump_error *fake_store(struct writer *writer, const struct batch *b)
{
	struct fake_writer *w = (struct fake_writer *)writer;
	uint64_t off = b->data_off;

	CHECK(!atomic_fetch_add(&w->storing, 1) || !w->store_in_order);
	if (w->store_in_order)
		CHECK_INT(atomic_load(&w->stored_pages) % BATCH_PAGES, 0);
	if (batch_has(b, w->slow_store))
		usleep(50000);
	if (batch_has(b, w->fail_store))
		return error_new(GDUMP_ERR_OS, "disk full at page %llu",
				 (unsigned long long)w->fail_store);
	memcpy(w->file + off, b->data, b->data_len);
	for (size_t i = 0; i < b->num_pages; i++) {
		const struct page *p = &b->pages[i];

		CHECK(p->kind == PAGE_LOST || (p->kind == PAGE_ZERO) == !page_value(p->pfn));
		CHECK_INT(p->kind == PAGE_LOST || p->kind == PAGE_ZERO, !p->len);
		w->num_lost += p->kind == PAGE_LOST;
		CHECK(p->kind != PAGE_UNCOMPRESSED || p->len == PAGE);
		off += p->len;
	}
	CHECK_INT(off - b->data_off, b->data_len);
	atomic_fetch_add(&w->stored_pages, b->num_pages);
	atomic_fetch_sub(&w->storing, 1);
	return NULL;
}

static const struct writer_ops fake_writer_ops = { .place = fake_place, .store = fake_store };

static void writer_init(struct fake_writer *w, const struct codec *codec)
{
	*w = (struct fake_writer){
		.writer = { .ops = &fake_writer_ops, .codec = codec, .level = 1 },
		.file = calloc(1, MAX_FILE),
		.fail_store = NEVER, .slow_store = NEVER,
	};
}

static struct gdump_error *on_all_read(void *arg)
{
	struct fake_source *f = arg;

	CHECK_INT(atomic_load(&f->reading), 0);
	atomic_fetch_add(&f->all_read, 1);
	return NULL;
}

/* Run it all; frees the source. */
static struct gdump_error *run(struct fake_source *f, struct fake_writer *w, unsigned int threads,
			       gdump_progress_fn *progress, struct gdump_result *result)
{
	struct pipeline_options opt = {
		.threads = threads, .progress = progress, .all_read = on_all_read,
		.all_read_arg = f, .store_in_order = w && w->store_in_order,
	};
	struct gdump_plan *plan = NULL;
	struct gdump_error *err;

	*result = (struct gdump_result){ 0 };
	CHECK_OK(plan_create(&f->source, &plan));
	err = pipeline_run(&f->source, plan, w ? &w->writer : NULL, &opt, result);
	/* an error that comes late finds everything read already */
	CHECK(err ? atomic_load(&f->all_read) <= 1 : atomic_load(&f->all_read) == 1);
	if (!err)
		CHECK_INT(result->pages + result->unreadable, gdump_plan_kept(plan));
	gdump_plan_destroy(plan);
	source_close(&f->source);
	return err;
}

static void test_same_result(const struct source_ops *ops, const char *codec, bool in_order)
{
	static const unsigned int threads[] = { 1, 2, 3, 8, 33 };
	struct fake_writer first;

	writer_init(&first, codec_find(codec)->compress ? codec_find(codec) : NULL);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		struct fake_writer w;
		struct gdump_result result;

		writer_init(&w, first.writer.codec);
		w.store_in_order = in_order;
		CHECK_OK(run(source_create(ops, NUM_PAGES), i ? &w : &first, threads[i], NULL,
			     &result));
		CHECK_INT(result.pages, result.zero + result.compressed + result.uncompressed);
		CHECK_INT(result.zero, (NUM_PAGES + 3) / 7);
		CHECK(first.writer.codec ? result.compressed > 1000 : !result.compressed);
		if (i) {
			CHECK_INT(w.size, first.size);
			CHECK(!memcmp(w.file, first.file, MAX_FILE));
		}
		free(w.file);
	}
	free(first.file);
}

/* No matter who is first, the lowest page that fails is told. */
static void test_source_fails(void)
{
	static const uint64_t pages[] = { 0, 1, 127, 128, 1000, 1999, 2000, NUM_PAGES - 2 };

	for (unsigned int i = 0; i < ARRAY_SIZE(pages) * 8; i++) {
		struct fake_source *f = source_create(i % 4 == 3 ? &serial_ops : &parallel_ops,
						      NUM_PAGES);
		struct gdump_result result;
		struct fake_writer w;
		char wanted[64];

		f->fail_at = pages[i / 8];
		if (i & 1)
			f->fail_also = f->fail_at + BATCH_PAGES + 1;
		f->slow_at = i & 2 ? f->fail_at / 2 : NEVER;
		writer_init(&w, NULL);
		snprintf(wanted, sizeof(wanted), "page %llu is bad",
			 (unsigned long long)f->fail_at);
		CHECK_ERR(run(f, &w, i % 8 + 1, NULL, &result), GDUMP_ERR_REMOTE, wanted);
		/* what lies below has been written */
		CHECK_INT(result.pages, pages[i / 8] / BATCH_PAGES * BATCH_PAGES);
		free(w.file);
	}
}

/* A page that is broken by itself is lost; those around it are not. */
static void test_lost_pages(void)
{
	static const unsigned int threads[] = { 1, 2, 8 };
	static unsigned char first[MAX_FILE];

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		struct fake_source *f = source_create(&parallel_ops, NUM_PAGES);
		struct gdump_result result;
		struct fake_writer w;

		f->fail_code = GDUMP_ERR_CORRUPT;
		f->fail_at = 2001;
		f->fail_also = 130;
		f->slow_at = 128;
		writer_init(&w, codec_find("zlib"));
		CHECK_OK(run(f, &w, threads[i], NULL, &result));
		CHECK_INT(result.unreadable, 2);
		CHECK_INT(atomic_load(&w.num_lost), 2);
		CHECK_STR(result.first_error, "page 130 is bad");
		CHECK(w.writer.incomplete);
		if (!i)
			memcpy(first, w.file, MAX_FILE);
		CHECK(!memcmp(first, w.file, MAX_FILE));
		free(result.first_error);
		free(w.file);
	}
}

/* A serial source cannot be asked again: any error ends it all. */
static void test_serial_fails(void)
{
	struct fake_source *f = source_create(&serial_ops, NUM_PAGES);
	struct gdump_result result;
	struct fake_writer w;

	f->fail_code = GDUMP_ERR_CORRUPT;
	f->fail_at = 777;
	writer_init(&w, NULL);
	CHECK_ERR(run(f, &w, 4, NULL, &result), GDUMP_ERR_CORRUPT, "page 777 is bad");
	CHECK_INT(result.unreadable, 0);
	free(w.file);
}

static void test_writer_fails(void)
{
	for (unsigned int i = 0; i < 48; i++) {
		struct fake_source *f = source_create(&parallel_ops, NUM_PAGES);
		const uint64_t pfn = i * 61;
		struct gdump_result result;
		struct fake_writer w;

		writer_init(&w, NULL);
		w.store_in_order = i % 3 == 2;
		/* the one before it is still at work */
		w.slow_store = i % 2 && pfn >= BATCH_PAGES ? pfn - BATCH_PAGES : NEVER;
		w.fail_store = pfn;
		CHECK_ERR(run(f, &w, i % 5 + 1, NULL, &result), GDUMP_ERR_OS, "disk full");
		CHECK_INT(result.pages, pfn / BATCH_PAGES * BATCH_PAGES);
		free(w.file);
	}
}

static bool cancel_at_once(void *arg, uint64_t done, uint64_t total)
{
	(void)arg, (void)done, (void)total;
	return true;
}

static void test_cancel(void)
{
	for (unsigned int threads = 1; threads <= 8; threads *= 2) {
		struct fake_source *f = source_create(&parallel_ops, NUM_PAGES);
		struct gdump_result result;
		struct fake_writer w;

		f->slow_at = 5;
		writer_init(&w, NULL);
		CHECK_ERR(run(f, &w, threads, cancel_at_once, &result), GDUMP_ERR_CANCELED, "");
		CHECK(result.pages < NUM_PAGES);
		free(w.file);
	}
}

static uint64_t last_done;

static bool watch_progress(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	CHECK(done >= last_done && done <= total && total == NUM_PAGES);
	last_done = done;
	return false;
}

static void test_slow(void)
{
	struct fake_source *f = source_create(&parallel_ops, NUM_PAGES);
	struct gdump_result result;
	struct fake_writer w;

	f->slow_at = NUM_PAGES - 1;
	writer_init(&w, NULL);
	w.slow_store = 0;
	CHECK_OK(run(f, &w, 4, watch_progress, &result));
	free(w.file);
}

/* So short that the workers may be done before anybody looks. */
static void test_few_pages(void)
{
	for (unsigned int i = 0; i < 200; i++) {
		struct fake_source *f = source_create(i & 1 ? &serial_ops : &parallel_ops,
						      i % 5 + 1);
		struct gdump_result result;
		struct fake_writer w;

		writer_init(&w, NULL);
		CHECK_OK(run(f, &w, i % 4 + 1, NULL, &result));
		free(w.file);
	}
}

static void test_count_only(void)
{
	struct fake_source *f = source_create(&parallel_ops, NUM_PAGES);
	struct gdump_result result;

	CHECK_OK(run(f, NULL, 3, NULL, &result));
	CHECK_INT(result.pages, NUM_PAGES);
	CHECK_INT(result.uncompressed + result.zero, NUM_PAGES);
	f = source_create(&serial_ops, NUM_PAGES);
	f->fail_at = 2222;
	CHECK_ERR(run(f, NULL, 3, NULL, &result), GDUMP_ERR_REMOTE, "page 2222");
}

int main(void)
{
	test_same_result(&parallel_ops, "none", false);
	test_same_result(&parallel_ops, "zlib", false);
	test_same_result(&parallel_ops, "zlib", true);
	test_same_result(&serial_ops, "zlib", false);
	test_same_result(&serial_ops, "none", true);
	test_same_result(&borrow_ops, "zlib", false);
	test_source_fails();
	test_lost_pages();
	test_serial_fails();
	test_writer_fails();
	test_cancel();
	test_slow();
	test_few_pages();
	test_count_only();
	return check_done();
}
