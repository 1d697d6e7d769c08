/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mk_ranges.c - memory and hardly more: LiME, AVML, raw
 *
 * lime, avml   a header of 32 bytes for each range, and the memory.  Options: reverse
 *              (the last range first), again (the first range once more, at the end),
 *              zero-blocks (a range of zeros is a header with nothing after it).
 *              avml compresses it in frames with snappy; exit status 77: not in this build
 * raw          no header.  Options: dense (one range behind the other; else each at the
 *              place that is its address), ranges-file (FILE.ranges says what is where; else
 *              --inputs does)
 */
#include "mkdump.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_SNAPPY
#include <snappy-c.h>
#endif

/* A block of zeros has a name of its own: nothing proves its addresses. */
static void put_header(struct out *o, const struct area *r, size_t i, const char *magic,
		       uint32_t version, bool is_zero)
{
	mark(o, numbered("record", i, ".magic"), o->len, 4);
	put_data(o, magic, 4);
	put(o, numbered("record", i, ".version"), version, 4);
	put(o, numbered(is_zero ? "zero-block" : "record", i, ".first"), r->start, 8);
	put(o, numbered(is_zero ? "zero-block" : "record", i, ".last"), r->start + r->size - 1, 8);
	put(o, numbered("record", i, ".reserved"), 0, 8);
}

static unsigned char *memory_of(const struct desc *d, uint64_t start, uint64_t size)
{
	unsigned char *buf = malloc(size);

	if (!buf)
		die("out of memory");
	memory_get(d, start, buf, size);
	return buf;
}

static bool is_zero_block(const struct desc *d, const unsigned char *buf, uint64_t size)
{
	return option(d, "zero-blocks") && !buf[0] && !memcmp(buf, buf + 1, size - 1);
}

static void put_plain(struct out *o, const struct desc *d, const struct area *r, size_t i)
{
	unsigned char *buf = memory_of(d, r->start, r->size);
	const bool is_zero = is_zero_block(d, buf, r->size);

	put_header(o, r, i, "EMiL", 1, is_zero);
	mark(o, numbered("memory", i, ""), o->len, 0);
	if (!is_zero)
		put_data(o, buf, r->size);
	free(buf);
}

#ifdef HAVE_SNAPPY
/* CRC-32C by its definition, bit by bit */
static uint32_t checksum(const unsigned char *p, size_t len)
{
	uint32_t crc = UINT32_MAX;

	while (len--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	crc = ~crc;
	return (crc >> 15 | crc << 17) + 0xa282ead8;
}

/* The second of three frames is not compressed, as if that had not helped. */
static void put_frame(struct out *o, const unsigned char *data, size_t len, size_t i)
{
	static char compressed[131072];
	size_t n = sizeof(compressed);
	const bool plain = i % 3 == 1;

	if (snappy_compress((const char *)data, len, compressed, &n) != SNAPPY_OK)
		die("snappy");
	put(o, numbered("frame", i, ".type"), plain, 1);
	put(o, numbered("frame", i, ".len"), (plain ? len : n) + 4, 3);
	put(o, numbered("frame", i, ".crc"), checksum(data, len), 4);
	mark(o, numbered("frame", i, ".data"), o->len, 2);
	put_data(o, plain ? (const void *)data : compressed, plain ? len : n);
}

static void put_compressed(struct out *o, const struct desc *d, const struct area *r, size_t i)
{
	enum { FRAME = 65536 };
	unsigned char *buf = memory_of(d, r->start, r->size);
	const bool is_zero = is_zero_block(d, buf, r->size);
	static size_t frames;
	size_t begin;

	put_header(o, r, i, "AVML", 2, is_zero);
	if (is_zero) {
		free(buf);
		return;
	}
	begin = o->len;
	put_data(o, "\xff\6\0\0sNaPpY", 10);
	for (uint64_t at = 0; at < r->size; at += FRAME)
		put_frame(o, buf + at, r->size - at < FRAME ? r->size - at : FRAME, frames++);
	put(o, numbered("record", i, ".frames"), o->len - begin, 8);
	free(buf);
}
#else
static void put_compressed(struct out *o, const struct desc *d, const struct area *r, size_t i)
{
	(void)o, (void)d, (void)r, (void)i;
	fprintf(stderr, "mkdump: no snappy in this build\n");
	exit(77);
}
#endif

void make_records(struct out *o, const struct desc *d)
{
	const bool avml = !strcmp(d->format, "avml");

	for (size_t i = 0; i < d->num_ranges + option(d, "again"); i++) {
		size_t n = i % d->num_ranges;

		n = option(d, "reverse") ? d->num_ranges - 1 - n : n;
		(avml ? put_compressed : put_plain)(o, d, &d->ranges[n], i);
	}
}

static uint64_t raw_offset(const struct desc *d, size_t range)
{
	uint64_t off = 0;

	if (!option(d, "dense"))
		return d->ranges[range].start;
	for (size_t i = 0; i < range; i++)
		off += d->ranges[i].size;
	return off;
}

void make_raw(struct out *o, const struct desc *d)
{
	for (size_t i = 0; i < d->num_ranges; i++) {
		const struct area *r = &d->ranges[i];
		unsigned char *buf = memory_of(d, r->start, r->size);

		pad_to(o, raw_offset(d, i));
		put_data(o, buf, r->size);
		free(buf);
	}
}

/* Lines of FILE.ranges, or words of the command. */
static void print_places(FILE *f, const struct desc *d, const char *before, const char *after)
{
	for (size_t i = 0; i < d->num_ranges; i++) {
		const struct area *r = &d->ranges[i];

		fprintf(f, "%s0x%" PRIx64 ":0x%" PRIx64 "@0x%" PRIx64 "%s", before, r->start,
			r->size, raw_offset(d, i), after);
	}
}

void print_raw_places(const struct desc *d)
{
	print_places(stdout, d, "--range ", "\n");
}

/* Also of a file that is cut */
static uint64_t full_size(const struct desc *d)
{
	uint64_t size = 0;

	for (size_t i = 0; i < d->num_ranges; i++) {
		uint64_t end = raw_offset(d, i) + d->ranges[i].size;

		size = end > size ? end : size;
	}
	return size;
}

void write_ranges_file(const struct desc *d, const char *path)
{
	char name[4096];
	FILE *f;

	snprintf(name, sizeof(name), "%s.ranges", path);
	f = fopen(name, "w");
	if (!f)
		die("cannot write %s", name);
	fprintf(f, "guestdump-ranges 1\nsize %" PRIu64 "\nmachine %s\nbyte-order %s\npage-size %u\n",
		full_size(d), d->mach->arch, d->big ? "big" : "little", d->page);
	print_places(f, d, "", " ram\n");
	fclose(f);
}
