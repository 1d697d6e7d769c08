/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * checksum.c - the checksums at the end of a file: one CRC for each region of a few KiB
 */
#include "checksum.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "parallel.h"
#include "util/bits.h"
#include "util/cleanup.h"
#include "util/cursor.h"

enum {
	MIN_REGION = 4096, MAX_REGION = 1 << 20,
	MAX_REGIONS = 1 << 24,          /* while they may be smaller            */
	VERSION = 2, FOOTER_SIZE = 64, FOOTER_ZEROS = 24, CRC_SIZE = 4,
	CHUNK = MAX_REGION,             /* bytes that are verified at once      */
	ADD_REGIONS = 64,               /* that are added at once               */
};

static const char MAGIC[] = "GDUMPSUM";
enum { MAGIC_SIZE = sizeof(MAGIC) - 1, FEW_BITS = 8 };

struct checksum {
	uint32_t region;
	pthread_mutex_t lock;           /* guards the rest                      */
	uint32_t *crcs;
	uint64_t num, room;
};

/* The CRC without its inversions: it is linear, and zero for zeros. */
static uint32_t crc_plain(const void *buf, size_t len)
{
	return ~libdeflate_crc32(UINT32_MAX, buf, len);
}

/* The product of two polynomials over GF(2) modulo that of the CRC.  The highest bit is the
 * coefficient of x^0.
 */
static uint32_t crc_multiply(uint32_t a, uint32_t b)
{
	const uint32_t polynomial = 0xedb88320;
	uint32_t product = 0;

	for (; a; a <<= 1) {
		if (a >> 31)
			product ^= b;
		b = b >> 1 ^ (b & 1 ? polynomial : 0);
	}
	return product;
}

/* The CRC of the same bytes and @num zeros: multiplied by x^8 for each. */
static uint32_t crc_add_zeros(uint32_t crc, size_t num)
{
	uint32_t power = (uint32_t)1 << (31 - 8);

	for (; num; num >>= 1) {
		if (num & 1)
			crc = crc_multiply(crc, power);
		power = crc_multiply(power, power);
	}
	return crc;
}

/* What @len bytes contribute to the CRC of their region, which is their XOR, if @after bytes of
 * it follow them
 */
static uint32_t crc_of_piece(const void *buf, size_t len, size_t after)
{
	return crc_add_zeros(crc_plain(buf, len), after);
}

struct checksum *checksum_create(uint64_t size)
{
	struct checksum *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->region = MIN_REGION;
	while (c->region < MAX_REGION && size / c->region > MAX_REGIONS)
		c->region *= 2;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void checksum_destroy(struct checksum *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c->crcs);
	free(c);
}

/* Make room for at least @num regions; those that were not written are zeros. */
static bool checksum_grow(struct checksum *c, uint64_t num)
{
	const uint64_t room = MAX(num + num / 2, 64);
	uint32_t *crcs;

	if (num > c->room) {
		crcs = reallocarray(c->crcs, room, sizeof(*crcs));
		if (!crcs)
			return false;
		memset(crcs + c->room, 0, (room - c->room) * sizeof(*crcs));
		c->crcs = crcs;
		c->room = room;
	}
	c->num = MAX(num, c->num);
	return true;
}

static bool checksum_add_crcs(struct checksum *c, uint64_t first, const uint32_t *crcs, size_t num)
{
	bool there;

	pthread_mutex_lock(&c->lock);
	there = checksum_grow(c, first + num);
	for (size_t i = 0; there && i < num; i++)
		c->crcs[first + i] ^= crcs[i];
	pthread_mutex_unlock(&c->lock);
	return there;
}

bool checksum_add(struct checksum *c, uint64_t off, const void *buf, size_t len)
{
	const unsigned char *p = buf;

	while (len) {
		const uint64_t first = off / c->region;
		uint32_t crcs[ADD_REGIONS];
		size_t num = 0;

		while (len && num < ADD_REGIONS) {
			const size_t at = off % c->region, n = MIN(len, c->region - at);

			crcs[num++] = crc_of_piece(p, n, c->region - (at + n));
			p += n, off += n, len -= n;
		}
		if (!checksum_add_crcs(c, first, crcs, num))
			return false;
	}
	return true;
}

struct gdump_error *checksum_finish(struct checksum *c, uint64_t size, void **ret, size_t *len)
{
	const uint64_t num = div_up(size, c->region);
	unsigned char *buf;
	struct cursor out;

	if (!checksum_grow(c, num))
		return error_nomem();
	*len = num * CRC_SIZE + FOOTER_SIZE;
	buf = malloc(*len);
	if (!buf)
		return error_nomem();
	out = cursor_init(buf, *len, false, true);
	for (uint64_t i = 0; i < num; i++)
		put_u32(&out, c->crcs[i]);
	put_bytes(&out, MAGIC, MAGIC_SIZE);
	put_u32(&out, VERSION);
	put_u32(&out, c->region);
	put_u64(&out, size);
	put_u64(&out, num);
	put_zeros(&out, FOOTER_ZEROS);
	put_u32(&out, libdeflate_crc32(0, buf, num * CRC_SIZE));
	put_u32(&out, libdeflate_crc32(0, buf + num * CRC_SIZE, FOOTER_SIZE - CRC_SIZE));
	*ret = buf;
	return NULL;
}

/* --- verify --- */

struct verify {
	struct bytes *in;
	uint64_t size, num;             /* of the file without its checksum: bytes, regions */
	uint32_t region;
	unsigned char *crcs;
	pthread_mutex_t lock;
	struct spans *broken;           /* guarded by the lock                  */
};

/* The size of the file with its checksum */
static uint64_t verify_file_size(const struct verify *v)
{
	return v->size + v->num * CRC_SIZE + FOOTER_SIZE;
}

static struct gdump_error *checksum_broken(const char *what)
{
	return error_new(GDUMP_ERR_CORRUPT, "the checksum trailer is broken: %s", what);
}

static uint32_t crc_get(const unsigned char *p)
{
	struct cursor c = cursor_init(p, CRC_SIZE, false, true);

	return get_u32(&c);
}

/* A footer whose magic has only a few wrong bits is a damaged footer. */
static bool checksum_is_footer(const unsigned char *buf)
{
	int bits = 0;

	for (size_t i = 0; i < MAGIC_SIZE; i++)
		bits += __builtin_popcount((unsigned int)buf[i] ^ (unsigned char)MAGIC[i]);
	return bits <= FEW_BITS;
}

static struct gdump_error *verify_footer(struct verify *v, const unsigned char *buf, uint32_t *crc)
{
	struct cursor c = cursor_init(buf, FOOTER_SIZE, false, true);
	uint32_t version;

	if (crc_get(buf + FOOTER_SIZE - CRC_SIZE) !=
	    libdeflate_crc32(0, buf, FOOTER_SIZE - CRC_SIZE))
		return checksum_broken("its last 64 bytes were modified");
	cursor_take(&c, MAGIC_SIZE);
	version = get_u32(&c);
	v->region = get_u32(&c);
	v->size = get_u64(&c);
	v->num = get_u64(&c);
	cursor_take(&c, FOOTER_ZEROS);
	*crc = get_u32(&c);
	if (version < 1 || version > VERSION || !is_power_of_2(v->region) ||
	    v->region < MIN_REGION || v->region > MAX_REGION)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the checksum has version %u with regions of %u bytes; only versions 1 to %d are known",
				 version, v->region, VERSION);
	if (v->size > v->in->size || v->num != div_up(v->size, v->region) ||
	    v->in->size - v->size != v->num * CRC_SIZE + FOOTER_SIZE)
		return error_new(GDUMP_ERR_CORRUPT,
				 "the checksum trailer is for a file of %" PRIu64
				 " bytes, but this one has %" PRIu64, verify_file_size(v),
				 v->in->size);
	return NULL;
}

static struct gdump_error *verify_crcs(struct verify *v, uint32_t crc)
{
	struct gdump_error *err;

	v->crcs = malloc(v->num * CRC_SIZE + 1);
	if (!v->crcs)
		return error_nomem();
	err = bytes_read(v->in, v->size, v->crcs, v->num * CRC_SIZE);
	if (!err && libdeflate_crc32(0, v->crcs, v->num * CRC_SIZE) != crc)
		return checksum_broken("the list before its last 64 bytes was modified");
	return err;
}

static struct gdump_error *verify_note(struct verify *v, uint64_t start, uint64_t size)
{
	bool noted;

	pthread_mutex_lock(&v->lock);
	noted = spans_add(v->broken, start, size);
	pthread_mutex_unlock(&v->lock);
	return noted ? NULL : error_nomem();
}

/* Compare the regions of the @len bytes at @off; @buf NULL: they are a hole. */
static struct gdump_error *verify_bytes(struct verify *v, uint64_t off, const unsigned char *buf,
					size_t len)
{
	struct gdump_error *err = NULL;

	for (size_t at = 0, n; !err && at < len; at += n) {
		const unsigned char *want = v->crcs + (off + at) / v->region * CRC_SIZE;

		n = MIN(len - at, v->region);
		if (crc_get(want) != (buf ? crc_of_piece(buf + at, n, v->region - n) : 0))
			err = verify_note(v, off + at, n);
	}
	return err;
}

static struct gdump_error *verify_chunks(void *arg, struct parallel *p)
{
	struct verify *v = arg;
	CLEANUP_FREE unsigned char *buf = malloc(CHUNK);
	struct gdump_error *err = buf ? NULL : error_nomem();
	uint64_t i;

	while (!err && parallel_next(p, &i)) {
		const uint64_t off = i * CHUNK;
		const size_t len = (size_t)MIN(v->size - off, CHUNK);
		const bool hole = bytes_hole(v->in, off, len) == len;

		if (!hole)
			err = bytes_read(v->in, off, buf, len);
		if (!err)
			err = verify_bytes(v, off, hole ? NULL : buf, len);
	}
	return err;
}

/* The error that reports the broken bytes, or NULL */
static struct gdump_error *verify_report(const struct spans *broken)
{
	const struct span *first = broken->list;

	if (!broken->num)
		return NULL;
	return error_new(GDUMP_ERR_CORRUPT,
			 "checksum mismatch in bytes %" PRIu64 "-%" PRIu64 "%s: the file was modified after it was written",
			 first->start, first->start + (first->size - 1),
			 broken->num > 1 ? " and in others" : "");
}

static struct gdump_error *verify_all(struct verify *v, const unsigned char *footer,
				      unsigned int threads)
{
	uint32_t crc = 0;
	struct gdump_error *err = verify_footer(v, footer, &crc);

	if (!err)
		err = verify_crcs(v, crc);
	if (!err)
		err = parallel_run(threads, div_up(v->size, CHUNK), verify_chunks, v);
	spans_sort(v->broken);
	return err ? err : verify_report(v->broken);
}

struct gdump_error *checksum_verify(struct bytes *in, unsigned int threads, struct spans *broken,
				    bool *ret)
{
	struct verify v = { .in = in, .lock = PTHREAD_MUTEX_INITIALIZER, .broken = broken };
	unsigned char footer[FOOTER_SIZE];
	struct gdump_error *err;

	*ret = false;
	if (in->size < FOOTER_SIZE)
		return NULL;
	err = bytes_read(in, in->size - FOOTER_SIZE, footer, FOOTER_SIZE);
	if (err || !checksum_is_footer(footer))
		return err;
	*ret = true;
	err = verify_all(&v, footer, threads);
	free(v.crcs);
	return err;
}
