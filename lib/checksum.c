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
	const uint32_t crc = crc_plain(buf, len);

	return after ? crc_add_zeros(crc, after) : crc;
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

	if (!checksum_grow(c, num + FOOTER_SIZE / CRC_SIZE))
		return error_nomem();
	/* in place: the list of a large file is large */
	buf = (unsigned char *)c->crcs;
	*len = num * CRC_SIZE + FOOTER_SIZE;
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
	c->crcs = NULL;
	c->num = c->room = 0;
	return NULL;
}

/* --- the list of a file --- */

static struct gdump_error *checksum_broken(const char *what)
{
	return error_new(GDUMP_ERR_CORRUPT, "the checksum trailer is broken: %s", what);
}

/* Without a cursor: there is one for each 4 KiB of a file. */
static uint32_t crc_get(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* A footer whose magic has only a few wrong bits is a damaged footer. */
static bool checksum_is_footer(const unsigned char *buf)
{
	int bits = 0;

	for (size_t i = 0; i < MAGIC_SIZE; i++)
		bits += __builtin_popcount((unsigned int)buf[i] ^ (unsigned char)MAGIC[i]);
	return bits <= FEW_BITS;
}

/* The size of the file with its checksum */
static uint64_t checksum_list_file_size(const struct checksum_list *l)
{
	return l->size + l->num * CRC_SIZE + FOOTER_SIZE;
}

static struct gdump_error *checksum_list_footer(struct checksum_list *l, const unsigned char *buf,
						uint64_t file_size)
{
	struct cursor c = cursor_init(buf, FOOTER_SIZE, false, true);
	uint32_t version;

	if (crc_get(buf + FOOTER_SIZE - CRC_SIZE) !=
	    libdeflate_crc32(0, buf, FOOTER_SIZE - CRC_SIZE))
		return checksum_broken("its last 64 bytes were modified");
	cursor_take(&c, MAGIC_SIZE);
	version = get_u32(&c);
	l->region = get_u32(&c);
	l->size = get_u64(&c);
	l->num = get_u64(&c);
	cursor_take(&c, FOOTER_ZEROS);
	l->crc = get_u32(&c);
	if (version < 1 || version > VERSION || !is_power_of_2(l->region) ||
	    l->region < MIN_REGION || l->region > MAX_REGION)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the checksum has version %u with regions of %u bytes; only versions 1 to %d are known",
				 version, l->region, VERSION);
	if (l->size > file_size || l->num != div_up(l->size, l->region) ||
	    file_size - l->size != l->num * CRC_SIZE + FOOTER_SIZE)
		return error_new(GDUMP_ERR_CORRUPT,
				 "the checksum trailer is for a file of %" PRIu64
				 " bytes, but this one has %" PRIu64, checksum_list_file_size(l),
				 file_size);
	return NULL;
}

struct gdump_error *checksum_list_find(struct checksum_list *l, struct bytes *in, bool *ret)
{
	unsigned char footer[FOOTER_SIZE];
	struct gdump_error *err;

	*ret = false;
	if (in->size < FOOTER_SIZE)
		return NULL;
	err = bytes_read(in, in->size - FOOTER_SIZE, footer, FOOTER_SIZE);
	if (err || !checksum_is_footer(footer))
		return err;
	*ret = true;
	return checksum_list_footer(l, footer, in->size);
}

struct gdump_error *checksum_list_load(struct checksum_list *l, struct bytes *in)
{
	CLEANUP_FREE unsigned char *crcs = malloc(l->num * CRC_SIZE + 1);
	struct gdump_error *err;

	if (!crcs)
		return error_nomem();
	err = bytes_read(in, l->size, crcs, l->num * CRC_SIZE);
	if (!err && libdeflate_crc32(0, crcs, l->num * CRC_SIZE) != l->crc)
		err = checksum_broken("the list before its last 64 bytes was modified");
	if (!err)
		l->crcs = TAKE_PTR(crcs);
	return err;
}

size_t checksum_list_region_size(const struct checksum_list *l, uint64_t i)
{
	return (size_t)MIN(l->size - i * l->region, l->region);
}

bool checksum_list_fits(const struct checksum_list *l, uint64_t i, const void *buf)
{
	const size_t len = checksum_list_region_size(l, i);

	return crc_get(l->crcs + i * CRC_SIZE) == (buf ? crc_of_piece(buf, len, l->region - len) : 0);
}

struct gdump_error *checksum_mismatch(uint64_t off, uint64_t len, bool more)
{
	return error_new(GDUMP_ERR_CORRUPT,
			 "checksum mismatch in bytes %" PRIu64 "-%" PRIu64 "%s: the file was modified after it was written",
			 off, off + (len - 1), more ? " and in others" : "");
}

/* --- verify --- */

struct verify {
	struct bytes *in;
	struct checksum_list list;
	pthread_mutex_t lock;
	struct spans *broken;           /* guarded by the lock                  */
};

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
		const uint64_t i = (off + at) / v->list.region;

		n = checksum_list_region_size(&v->list, i);
		if (!checksum_list_fits(&v->list, i, buf ? buf + at : NULL))
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
		const size_t len = (size_t)MIN(v->list.size - off, CHUNK);
		const bool hole = bytes_hole(v->in, off, len) == len;

		if (!hole)
			err = bytes_read(v->in, off, buf, len);
		if (!err)
			err = verify_bytes(v, off, hole ? NULL : buf, len);
	}
	return err;
}

struct gdump_error *checksum_verify(struct bytes *in, unsigned int threads, struct spans *broken,
				    bool *ret)
{
	struct verify v = { .in = in, .lock = PTHREAD_MUTEX_INITIALIZER, .broken = broken };
	struct gdump_error *err = checksum_list_find(&v.list, in, ret);

	if (err || !*ret)
		return err;
	err = checksum_list_load(&v.list, in);
	if (!err)
		err = parallel_run(threads, div_up(v.list.size, CHUNK), verify_chunks, &v);
	free(v.list.crcs);
	spans_sort(broken);
	if (err || !broken->num)
		return err;
	return checksum_mismatch(broken->list[0].start, broken->list[0].size, broken->num > 1);
}
