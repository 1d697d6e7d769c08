/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/raw.c - memory as it is, without a header
 *
 * In a file that guestdump writes, the offset of each byte is its guest-physical address.
 * Zero pages, and what lies between ranges, are holes.  A text beside the file says where memory
 * is, see ranges.h; output to a pipe has no such text.
 *
 * A raw file may begin with any bytes, as the guest chooses what it has at address 0.  So a
 * file is read as raw only if that text or the caller says so.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "file_proof.h"
#include "format.h"
#include "pieces_source.h"
#include "ranges.h"

struct raw_source {
	struct pieces_source base;
	struct file_proof proof;        /* if the text says where all of the file belongs */
	bool is_proved;
};

struct raw_writer {
	struct writer writer;
	const struct write_spec *spec;
	struct pieces pieces;           /* one for each range                   */
	struct ranges ranges;
};

/* The first bytes do not identify a raw file. */
static bool raw_probe(const unsigned char *head, size_t len)
{
	(void)head, (void)len;
	return false;
}

static struct gdump_error *raw_verify(struct source *source, struct damage *to)
{
	struct raw_source *s = (struct raw_source *)source;
	struct gdump_error *err = NULL;

	if (s->is_proved && !source->image.incomplete)
		err = file_proof_check(&s->proof, s->base.in);
	to->tables |= err != NULL;
	return err;
}

static void raw_source_close(struct source *source)
{
	struct raw_source *s = (struct raw_source *)source;

	file_proof_deinit(&s->proof);
	pieces_source_close(source);
}

static const struct source_ops raw_source_ops = {
	.name = "raw",
	.has_absent = true,
	.read = pieces_source_read,
	.scan = pieces_source_scan,
	.gap = pieces_source_gap,
	.verify = raw_verify,
	.close = raw_source_close,
};

/* @size: of the file, before it was cut short, if it was */
static struct gdump_error *raw_add_entry(struct raw_source *s, const struct ranges_entry *e,
					 uint64_t size)
{
	struct pieces_source *p = &s->base;
	const uint64_t end = p->in->size;
	const uint64_t there = e->off < end ? MIN(e->size, end - e->off) : 0;
	struct gdump_error *err;

	if (!e->size || !range_fits(e->off, e->size, size))
		return error_new(GDUMP_ERR_USAGE,
				 "range 0x%" PRIx64 ":0x%" PRIx64 "@0x%" PRIx64 " is not in the file, which has 0x%" PRIx64 " bytes",
				 e->paddr, e->size, e->off, size);
	err = image_add_range(&p->source.image, e->paddr, e->size, e->kind);
	if (!err)
		err = file_proof_add(&s->proof, true, e->paddr, there, e->off);
	return err || !there ? err : pieces_add(&p->pieces, e->paddr, there, e->off);
}

static struct gdump_error *raw_add_entries(struct raw_source *s, const struct ranges *ranges)
{
	struct pieces_source *p = &s->base;
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < ranges->num; i++)
		err = raw_add_entry(s, &ranges->list[i], MAX(ranges->file_size, p->in->size));
	if (!err && !pieces_sort(&p->pieces))
		err = error_new(GDUMP_ERR_USAGE, "two ranges contain the same memory");
	return err;
}

/* Without the size of the file, the ranges are those that a user wants, not all. */
static struct gdump_error *raw_fill_image(struct raw_source *s, const struct ranges *ranges)
{
	struct pieces_source *p = &s->base;
	struct image *image = &p->source.image;
	struct gdump_error *err;

	if (ranges->file_size && ranges->file_size < p->in->size)
		return error_new(GDUMP_ERR_CORRUPT,
				 "the file has 0x%" PRIx64 " bytes, but the .ranges file beside it is for one of 0x%" PRIx64 "; move that away, or say where the ranges are",
				 p->in->size, ranges->file_size);
	image->incomplete |= ranges->incomplete || ranges->file_size > p->in->size;
	image->machine = ranges->machine;
	image->big = ranges->big;
	image->is64 = !ranges->machine || arch_by_machine(ranges->machine)->is64;
	image->page_size = ranges->page_size;
	snprintf(image->detail, sizeof(image->detail), "raw memory");
	s->proof.what = "lines of the .ranges file";
	s->is_proved = ranges->file_size != 0;
	err = raw_add_entries(s, ranges);
	return err ? err : pieces_source_seal(p);
}

static struct gdump_error *raw_open_at(struct bytes *in, const struct ranges *ranges,
				       struct source **ret)
{
	struct raw_source *s = pieces_source_create(sizeof(*s), &raw_source_ops, in);
	struct gdump_error *err = s ? raw_fill_image(s, ranges) : error_nomem();

	return pieces_source_opened(s ? &s->base : NULL, err, ret);
}

/* Without ranges, the offset of each byte is its address. */
static struct gdump_error *raw_open(struct bytes *in, struct source **ret)
{
	struct ranges_entry all = { .size = in->size };

	return raw_open_at(in, &(struct ranges){ .list = &all, .num = 1 }, ret);
}

static struct gdump_error *raw_store(struct writer *writer, const struct batch *b)
{
	struct raw_writer *w = (struct raw_writer *)writer;

	return pieces_store(&w->pieces, w->spec->sink, b, w->spec->plan->page_size);
}

static struct gdump_error *raw_write_ranges(struct raw_writer *w)
{
	struct sink *file = w->spec->ranges_file;
	CLEANUP_FREE char *text = ranges_text(&w->ranges);
	struct gdump_error *err;

	if (!text)
		return error_nomem();
	err = sink_write(file, 0, text, strlen(text));
	return err ? err : file->ops->finish(file, strlen(text));
}

static struct gdump_error *raw_finish(struct writer *writer, uint64_t *size)
{
	struct raw_writer *w = (struct raw_writer *)writer;

	*size = w->ranges.file_size;
	w->ranges.incomplete = writer->incomplete || w->spec->image->incomplete;
	writer->unmarked = w->ranges.incomplete && !w->spec->ranges_file;
	return w->spec->ranges_file ? raw_write_ranges(w) : NULL;
}

static void raw_close(struct writer *writer)
{
	struct raw_writer *w = (struct raw_writer *)writer;

	pieces_deinit(&w->pieces);
	ranges_deinit(&w->ranges);
	free(w);
}

static const struct writer_ops raw_writer_ops = {
	.store = raw_store,
	.finish = raw_finish,
	.close = raw_close,
};

/* A place for each range, except for device memory that the plan omits */
static struct gdump_error *raw_lay_out(struct raw_writer *w)
{
	const struct image *image = w->spec->image;
	const struct gdump_plan *plan = w->spec->plan;
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < image->num_ranges; i++) {
		const struct gdump_range *r = &image->ranges[i];
		const struct ranges_entry p = { r->start, r->size, r->start, r->kind };

		if (r->start / plan->page_size >= plan_end_pfn(plan))
			break;
		if (r->start + r->size > INT64_MAX || r->start + r->size < r->size)
			return error_new(GDUMP_ERR_UNSUPPORTED,
					 "memory at 0x%" PRIx64 " is past the end of the largest possible file; omit it with --length, or write another format",
					 r->start);
		err = pieces_add(&w->pieces, r->start, r->size, r->start);
		if (!err)
			err = ranges_add(&w->ranges, &p);
		w->ranges.file_size = r->start + r->size;
	}
	return err;
}

static struct gdump_error *raw_create(const struct write_spec *spec, struct writer **ret)
{
	struct raw_writer *w = calloc(1, sizeof(*w));
	CLEANUP_WRITER struct writer *owned = &w->writer;
	struct gdump_error *err;

	if (!w)
		return error_nomem();
	w->writer.ops = &raw_writer_ops;
	w->writer.zero_filled = spec->plan->num_pages - spec->plan->kept;
	w->spec = spec;
	w->ranges.machine = spec->image->machine;
	w->ranges.big = spec->image->big;
	w->ranges.page_size = spec->image->page_size;
	err = raw_lay_out(w);
	if (err)
		return err;
	owned = NULL;
	*ret = &w->writer;
	return NULL;
}

const struct format format_raw = {
	.name = "raw",
	.summary = "memory as it is, each byte at its address; OUTPUT.ranges lists what is RAM",
	.any_order = true,
	.drops_top_device_memory = true,
	.ranges_file = true,
	.probe = raw_probe,
	.open = raw_open,
	.open_at = raw_open_at,
	.create = raw_create,
};
