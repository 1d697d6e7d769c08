/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/lime.c - LiME, version 1: what forensics tools take
 *
 *     { header, memory of one range } ...
 *
 * The header is in lime.h.  The format cannot omit pages: those that are not in the input are
 * written as zero, and counted.  Ranges are written in ascending order, as Volatility requires,
 * and with all of their bytes, so the output may be a pipe; device memory above RAM is omitted,
 * since LiME itself dumps only RAM.  If the sink seeks, the headers say that the file is cut
 * short until it is complete; readers ignore those bytes.
 *
 * AVML 0.16.0 to 0.17.0 wrote a block of zeros as a header with nothing after it.
 */
#include "lime.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "format.h"
#include "pieces_source.h"

static const char cut_short_mark[8] = { 'c', 'u', 't', 's', 'h', 'o', 'r', 't' };

struct lime_writer {
	struct writer writer;
	struct sink *sink;
	const struct image *image;
	uint32_t page_size;
	struct pieces pieces;           /* one for each range                   */
	size_t next_header;             /* on a stream: not written yet         */
	uint64_t end;
};

/* LiME can compress its whole output with zlib: see the first two bytes. */
static bool lime_is_zlib(const unsigned char *head)
{
	return head[0] == 0x78 && (head[0] << 8 | head[1]) % 31 == 0;
}

static bool lime_probe(const unsigned char *head, size_t len)
{
	return len >= 4 && (!memcmp(head, "EMiL", 4) || lime_is_zlib(head));
}

struct gdump_error *lime_get_record(struct bytes *in, uint64_t off, uint32_t magic,
				    uint32_t version, struct lime_record *ret)
{
	unsigned char buf[LIME_HEADER_SIZE];
	struct gdump_error *err = bytes_read(in, off, buf, sizeof(buf));
	struct cursor c = cursor_init(buf, sizeof(buf), false, true);
	uint64_t last;
	uint32_t value;

	if (err)
		return err;
	value = get_u32(&c);
	if (value != magic)
		return error_new(GDUMP_ERR_CORRUPT,
				 "record at offset 0x%" PRIx64 ": magic 0x%x, not 0x%x",
				 off, value, magic);
	value = get_u32(&c);
	if (value != version)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "record at offset 0x%" PRIx64 ": version %u is not supported, only %u",
				 off, value, version);
	ret->paddr = get_u64(&c);
	last = get_u64(&c);
	ret->size = last - ret->paddr + 1;
	ret->cut_short = !memcmp(c.p, cut_short_mark, sizeof(cut_short_mark));
	if (last < ret->paddr || !ret->size)
		return error_new(GDUMP_ERR_CORRUPT,
				 "record at offset 0x%" PRIx64 ": invalid range 0x%" PRIx64 "-0x%" PRIx64,
				 off, ret->paddr, last);
	return NULL;
}

static bool lime_has_record(struct bytes *in, uint64_t off)
{
	struct lime_record r;
	CLEANUP_ERROR struct gdump_error *err = NULL;

	if (!range_fits(off, LIME_HEADER_SIZE, in->size))
		return false;
	err = lime_get_record(in, off, LIME_MAGIC, 1, &r);
	return !err;
}

/* Whether the next record begins at @off, where the bytes of record @r should, and none begins
 * after them: those could begin with a record's header by chance.  If both are possible, the
 * file is marked as incomplete, and the bytes are memory.
 */
static bool lime_is_zero_block(struct bytes *in, uint64_t off, const struct lime_record *r,
			       struct image *image)
{
	const uint64_t rest = in->size - off;

	if (!lime_has_record(in, off))
		return false;
	if (r->size > rest || (r->size < rest && !lime_has_record(in, off + r->size)))
		return true;
	image->incomplete = true;
	return false;
}

static struct gdump_error *lime_read_records(struct pieces_source *p)
{
	struct image *image = &p->source.image;
	struct bytes *in = p->in;
	struct lime_record r;
	struct gdump_error *err = NULL;

	for (uint64_t off = 0, len; !err && off < in->size; off += len) {
		if (in->size - off < LIME_HEADER_SIZE) {
			image->incomplete = true;
			break;
		}
		err = lime_get_record(in, off, LIME_MAGIC, 1, &r);
		if (err)
			return err;
		off += LIME_HEADER_SIZE;
		err = image_add_range(image, r.paddr, r.size, GDUMP_RANGE_RAM);
		if (!err && lime_is_zero_block(in, off, &r, image)) {
			err = pieces_add(&p->pieces, r.paddr, r.size, PIECE_ZERO);
			len = 0;
			continue;
		}
		len = MIN(r.size, in->size - off);
		image->incomplete |= r.cut_short || len < r.size;
		if (!err && len)
			err = pieces_add(&p->pieces, r.paddr, len, off);
	}
	if (!err && !pieces_sort(&p->pieces))
		err = error_new(GDUMP_ERR_CORRUPT, "two records contain the same memory");
	return err;
}

static const struct source_ops lime_source_ops = {
	.name = "lime",
	.has_absent = true,
	.read = pieces_source_read,
	.scan = pieces_source_scan,
	.gap = pieces_source_gap,
	.close = pieces_source_close,
};

static struct gdump_error *lime_read_all(struct pieces_source *p)
{
	struct image *image = &p->source.image;
	unsigned char head[2] = { 0 };
	struct gdump_error *err = bytes_read(p->in, 0, head, sizeof(head));

	image->is64 = true;
	if (!err && lime_is_zlib(head))
		err = error_new(GDUMP_ERR_UNSUPPORTED,
				"all of the file is compressed with zlib, as LiME's compress=1 does; decompress it first, with zlib-flate -uncompress or pigz -d -z");
	if (!err)
		err = lime_read_records(p);
	if (!err)
		err = pieces_source_seal(p);
	snprintf(image->detail, sizeof(image->detail), "%sLiME, version 1", p->in->kind);
	return error_prefix(err, "LiME");
}

static struct gdump_error *lime_open(struct bytes *in, struct source **ret)
{
	struct pieces_source *p = pieces_source_create(sizeof(*p), &lime_source_ops, in);
	struct gdump_error *err = p ? lime_read_all(p) : error_nomem();

	return pieces_source_opened(p, err, ret);
}

static struct gdump_error *lime_write_header(struct lime_writer *w, size_t i, bool complete)
{
	const struct piece *p = &w->pieces.list[i];
	unsigned char buf[LIME_HEADER_SIZE] = { 0 };
	struct cursor c = cursor_init(buf, sizeof(buf), false, true);

	put_u32(&c, LIME_MAGIC);
	put_u32(&c, 1);
	put_u64(&c, p->paddr);
	put_u64(&c, p->paddr + (p->size - 1));
	if (!complete || w->image->incomplete)
		put_bytes(&c, cut_short_mark, sizeof(cut_short_mark));
	return sink_write(w->sink, p->off - LIME_HEADER_SIZE, buf, sizeof(buf));
}

static struct gdump_error *lime_write_headers(struct lime_writer *w, bool complete)
{
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < w->pieces.num; i++)
		err = lime_write_header(w, i, complete);
	return err;
}

/* On a stream: the headers of all pieces before piece @end. */
static struct gdump_error *lime_pass_headers(struct lime_writer *w, size_t end)
{
	struct gdump_error *err = NULL;

	while (!err && w->next_header < end)
		err = lime_write_header(w, w->next_header++, true);
	return err;
}

static struct gdump_error *lime_store(struct writer *writer, const struct batch *b)
{
	struct lime_writer *w = (struct lime_writer *)writer;
	struct piece_walk walk = { .pieces = &w->pieces, .batch = b, .page_size = w->page_size };
	struct gdump_error *err = NULL;
	struct piece_part part;

	if (w->sink->seeks)
		return pieces_store(&w->pieces, w->sink, b, w->page_size);
	while (!err && piece_walk_next(&walk, &part)) {
		err = lime_pass_headers(w, part.piece + 1);
		if (!err)
			err = sink_write(w->sink, part.off, part.data, part.len);
	}
	return err;
}

static struct gdump_error *lime_finish(struct writer *writer, uint64_t *size)
{
	struct lime_writer *w = (struct lime_writer *)writer;

	*size = w->end;
	writer->unmarked = writer->incomplete && !w->sink->seeks;
	if (w->sink->seeks)
		return lime_write_headers(w, !w->writer.incomplete);
	return lime_pass_headers(w, w->pieces.num);
}

static void lime_close(struct writer *writer)
{
	struct lime_writer *w = (struct lime_writer *)writer;

	pieces_deinit(&w->pieces);
	free(w);
}

static const struct writer_ops lime_writer_ops = {
	.store = lime_store,
	.finish = lime_finish,
	.close = lime_close,
};

/* A record for each range, except for device memory that the plan omits */
static struct gdump_error *lime_lay_out(struct lime_writer *w, const struct gdump_plan *plan)
{
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < w->image->num_ranges; i++) {
		const struct gdump_range *r = &w->image->ranges[i];

		if (r->start / plan->page_size >= plan_end_pfn(plan))
			break;
		err = pieces_add(&w->pieces, r->start, r->size, w->end + LIME_HEADER_SIZE);
		w->end += LIME_HEADER_SIZE + r->size;
	}
	return err;
}

static struct gdump_error *lime_create(const struct write_spec *spec, struct writer **ret)
{
	struct lime_writer *w = calloc(1, sizeof(*w));
	CLEANUP_WRITER struct writer *owned = &w->writer;
	struct gdump_error *err;

	if (!w)
		return error_nomem();
	w->writer.ops = &lime_writer_ops;
	w->writer.zero_filled = spec->plan->num_pages - spec->plan->kept;
	w->sink = spec->sink;
	w->image = spec->image;
	w->page_size = spec->plan->page_size;
	err = lime_lay_out(w, spec->plan);
	if (!err && w->sink->seeks)
		err = lime_write_headers(w, false);
	if (err)
		return err;
	owned = NULL;
	*ret = &w->writer;
	return NULL;
}

const struct format format_lime = {
	.name = "lime",
	.summary = "LiME, for forensics tools; memory only, omitted pages become zero",
	.drops_top_device_memory = true,
	.any_order = true,
	.probe = lime_probe,
	.open = lime_open,
	.create = lime_create,
};
