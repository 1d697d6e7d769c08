/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_flat.c - reading flattened files, against a model that writes the
 * records one after the other into a plain buffer
 */
#include "check.h"

#include <stdlib.h>
#include <unistd.h>

#include "bytes/bytes.h"
#include "random.h"
#include "util/bits.h"
#include "util/cursor.h"

enum { MAX_FILE = 1 << 18, MODEL_SIZE = 20000 };

struct file {
	unsigned char *buf;
	size_t len;
};

static void file_begin(struct file *f)
{
	struct cursor c;

	f->buf = calloc(1, MAX_FILE);
	if (!f->buf)
		abort();
	f->len = 4096;
	c = cursor_init(f->buf, 32, true, true);
	put_bytes(&c, "makedumpfile", 12);
	put_zeros(&c, 4);
	put_u64(&c, 1);
	put_u64(&c, 1);
}

static void file_record(struct file *f, uint64_t off, uint64_t len, const void *data)
{
	unsigned char head[16];
	struct cursor c = cursor_init(head, sizeof(head), true, true);

	put_u64(&c, off);
	put_u64(&c, len);
	memcpy(f->buf + f->len, head, sizeof(head));
	f->len += sizeof(head);
	if (data) {
		memcpy(f->buf + f->len, data, (size_t)len);
		f->len += (size_t)len;
	}
}

static void file_end(struct file *f)
{
	file_record(f, UINT64_MAX, UINT64_MAX, NULL);
}

static struct bytes *open_on_disk(const struct file *f)
{
	char path[] = "/tmp/gd-unit.XXXXXX";
	struct bytes *b = NULL;
	int fd = mkstemp(path);

	CHECK(fd >= 0 && write(fd, f->buf, f->len) == (ssize_t)f->len);
	close(fd);
	CHECK_OK(bytes_file_open(path, NULL, &b));
	unlink(path);
	return b;
}

/* Also frees the file; a copy of just that size shows reads behind its end.
 * Every other one is on disk: there pieces are read together.
 */
static struct gdump_error *open_flat(struct file *f, void **mem, struct bytes **ret)
{
	static unsigned int num;
	struct gdump_error *err;
	struct bytes *inner;

	*mem = malloc(f->len ? f->len : 1);
	memcpy(*mem, f->buf, f->len);
	if (num++ % 2)
		inner = open_on_disk(f);
	else
		CHECK_OK(bytes_memory_open(*mem, f->len, &inner));
	free(f->buf);
	err = bytes_flat_open(inner, ret);
	if (err)
		bytes_close(inner);
	return err;
}

static void check_same(struct bytes *b, const unsigned char *model, const bool *written,
		       size_t size, uint64_t *seed)
{
	static unsigned char got[MODEL_SIZE];

	CHECK_INT(b->size, size);
	CHECK_OK(bytes_read(b, 0, got, size));
	CHECK(!memcmp(got, model, size));
	for (int i = 0; i < 50; i++) {
		uint64_t off = random_below(seed, size), len = random_below(seed, size - off) + 1;
		uint64_t hole = bytes_hole(b, off, len), want = 0;

		memset(got, 0xcc, sizeof(got));
		CHECK_OK(bytes_read(b, off, got, (size_t)len));
		CHECK(!memcmp(got, model + off, (size_t)len));
		while (want < len && !written[off + want])
			want++;
		CHECK_INT(hole, want);
	}
	CHECK_ERR(bytes_read(b, size, got, 1), GDUMP_ERR_CORRUPT, "past the end");
}

static void test_random(uint64_t seed)
{
	static unsigned char model[MODEL_SIZE];
	static bool written[MODEL_SIZE];
	struct file f;
	struct bytes *b = NULL;
	size_t size = 0;
	void *mem;

	memset(model, 0, sizeof(model));
	memset(written, 0, sizeof(written));
	file_begin(&f);
	for (uint64_t n = random_below(&seed, 40) + 1; n; n--) {
		unsigned char data[600];
		size_t len = (size_t)random_below(&seed, seed % 3 ? 40 : sizeof(data)) + 1;
		size_t off = (size_t)random_below(&seed, seed % 5 ? 2000 : MODEL_SIZE - len);

		random_bytes(&seed, data, len);
		memcpy(model + off, data, len);
		memset(written + off, 1, len);
		size = MAX(size, off + len);
		file_record(&f, off, len, data);
	}
	file_end(&f);
	CHECK_OK(open_flat(&f, &mem, &b));
	if (b) {
		CHECK(!b->truncated);
		check_same(b, model, written, size, &seed);
	}
	bytes_close(b);
	free(mem);
}

/* Cut anywhere: what is there can be read, and it says that it was cut. */
static void test_truncated(void)
{
	static const unsigned char data[64] = "0123456789";

	for (size_t cut = 1; cut < 140; cut++) {
		struct bytes *b = NULL;
		struct gdump_error *err;
		unsigned char got[64];
		struct file f;
		void *mem;

		file_begin(&f);
		file_record(&f, 0, 64, data);
		file_record(&f, 100, 24, data);
		file_end(&f);           /* 16 + 64 + 16 + 24 + 16 bytes of records */
		f.len -= MIN(cut, f.len);
		err = open_flat(&f, &mem, &b);
		if (cut > 136 - 17) {   /* not one byte of data */
			CHECK_ERR(err, GDUMP_ERR_CORRUPT, "no records");
		} else if (CHECK_OK(err)) {
			CHECK(b->truncated);
			CHECK_OK(bytes_read(b, 0, got, (size_t)MIN(b->size, 64)));
			CHECK(!memcmp(got, data, (size_t)MIN(b->size, 64)));
			bytes_close(b);
		}
		free(mem);
	}
}

static void bad(uint64_t off, uint64_t len, const char *part)
{
	struct bytes *b = NULL;
	struct file f;
	void *mem;

	file_begin(&f);
	file_record(&f, 0, 4, "abcd");
	file_record(&f, off, len, NULL);
	file_end(&f);
	CHECK_ERR(open_flat(&f, &mem, &b), GDUMP_ERR_CORRUPT, part);
	free(mem);
}

static void test_bad_records(void)
{
	bad(0, 0, "record at offset 0x1014: impossible length 0x0");
	bad(0, (uint64_t)1 << 63, "impossible length");
	bad(0, UINT64_MAX, "impossible length");
	bad((uint64_t)1 << 63, 4, "impossible offset");
	bad(UINT64_MAX - 1, 4, "impossible offset");
}

static void test_headers(void)
{
	struct bytes *b = NULL;
	struct file f;
	void *mem;

	file_begin(&f);
	f.buf[23] = 2;
	file_end(&f);
	CHECK_ERR(open_flat(&f, &mem, &b), GDUMP_ERR_UNSUPPORTED, "type 2, version 1");
	free(mem);
	file_begin(&f);
	file_end(&f);
	CHECK_ERR(open_flat(&f, &mem, &b), GDUMP_ERR_CORRUPT, "no records");
	free(mem);
	file_begin(&f);         /* not flattened: handed back as it is */
	f.buf[0] = 'M';
	CHECK_OK(open_flat(&f, &mem, &b));
	CHECK(b && b->size == 4096 && !*b->kind);
	bytes_close(b);
	free(mem);
}

/* More records than fit in the window through which they are read */
static void test_many(void)
{
	static const unsigned char data[8] = "abcdefg";
	struct bytes *b = NULL;
	unsigned char got[8];
	struct file f;
	void *mem;

	file_begin(&f);
	for (uint64_t i = 10000; i-- > 0;)
		file_record(&f, i * 16, 8, data);
	file_end(&f);
	CHECK_OK(open_flat(&f, &mem, &b));
	CHECK_INT(b->size, 9999 * 16 + 8);
	for (uint64_t i = 0; i < 10000; i += 7) {
		CHECK_OK(bytes_read(b, i * 16, got, 8));
		CHECK(!memcmp(got, data, 8));
	}
	bytes_close(b);
	free(mem);
}

int main(void)
{
	for (uint64_t seed = 0; seed < 400; seed++)
		test_random(seed);
	test_truncated();
	test_bad_records();
	test_headers();
	test_many();
	return check_done();
}
