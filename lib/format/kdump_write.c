/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/kdump_write.c - kdump-compressed, header version 6
 *
 * kdump.h describes the layout.  The descriptors of all zero pages point to the first page
 * of data, which is zero; bit 0 of the dump level says so (makedumpfile --reassemble depends
 * on both).  On a sink that seeks, the header says "incomplete" until kdump_finish(), and
 * descriptors that were never written are 0, which to readers means a lost page: so a dump
 * that is cut short can be opened.  On a stream, descriptors are collected into large
 * writes, see sink/sink_flat.c.
 */
#include "kdump.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../codec/codec.h"
#include "../machine/vmcoreinfo.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum { CHUNK = 1 << 20, DESC_BUFFER = 43690 * KDUMP_DESC_SIZE };

struct kdump_writer {
	struct writer writer;
	struct sink *sink;
	const struct write_spec *spec;
	struct kdump_header header;
	struct kdump_layout layout;
	uint64_t next_data, next_index;
	struct plan_rank rank;          /* any order of pages: index of their descriptors */
	/* on a stream: descriptors to be written, DESC_BUFFER bytes */
	unsigned char *desc_buf;
	size_t desc_len;
	uint64_t desc_off;
};

static void kdump_put_main(struct cursor *c, const struct kdump_header *h)
{
	put_bytes(c, "KDUMP   ", 8);
	put_u32(c, h->version);
	put_bytes(c, h->sysname, UTS_LEN);
	put_bytes(c, h->nodename, UTS_LEN);
	put_bytes(c, h->release, UTS_LEN);
	put_bytes(c, h->uts_version, UTS_LEN);
	put_bytes(c, h->machine, UTS_LEN);
	put_bytes(c, h->domainname, UTS_LEN);
	put_zeros(c, h->is64 ? 6 : 2);
	put_word(c, h->tv_sec);
	put_word(c, 0);                 /* tv_usec: libkdumpfile could mistake it for
					 * the block size of a 32-bit header */
	put_u32(c, h->status);
	put_u32(c, h->block_size);
	put_u32(c, h->sub_hdr_size);
	put_u32(c, h->bitmap_blocks);
	put_u32(c, h->max_mapnr);
	put_zeros(c, 16);               /* unused counts and the current CPU */
	put_u32(c, h->nr_cpus);
}

static void kdump_put_sub(struct cursor *c, const struct kdump_sub *s)
{
	put_word(c, s->phys_base);
	put_u32(c, s->dump_level);
	put_u32(c, s->split);
	put_word(c, s->start_pfn);
	put_word(c, s->end_pfn);
	put_u64(c, s->off_vmcoreinfo);
	put_word(c, s->size_vmcoreinfo);
	put_u64(c, s->off_note);
	put_word(c, s->size_note);
	put_u64(c, s->off_eraseinfo);
	put_word(c, s->size_eraseinfo);
	put_u64(c, s->start_pfn);
	put_u64(c, s->end_pfn);
	put_u64(c, s->max_mapnr);
}

static void kdump_uts_set(char *field, const char *value, const char *otherwise)
{
	const char *text = value && *value ? value : otherwise;

	memcpy(field, text, MIN(strlen(text), UTS_LEN - 1));
}

static void kdump_fill_main(struct kdump_header *h, const struct write_spec *spec)
{
	const struct image *image = spec->image;
	const uint64_t end = plan_end_pfn(spec->plan);
	uint64_t crash_time = 0;

	h->version = KDUMP_MAX_VERSION;
	h->big = image->big;
	h->is64 = image->is64;
	h->block_size = image->page_size;
	h->status = (spec->codec ? spec->codec->kdump_flag : 0) |
		    (image->no_vmemmap ? KDUMP_NO_VMEMMAP : 0);
	h->sub_hdr_size = (uint32_t)div_up(kdump_sub_size(h->is64, false) + image_notes_size(image),
					   h->block_size);
	h->bitmap_blocks = (uint32_t)(2 * div_up(div_up(end, 8), h->block_size));
	h->max_mapnr = (uint32_t)MIN(end, UINT32_MAX);
	h->nr_cpus = (uint32_t)MAX(image->num_cpus, 1);
	/* the time of the input, or of the panic; the current time would make every dump differ */
	if (!image->time)
		vmcoreinfo_decimal(image, "CRASHTIME", &crash_time);
	h->tv_sec = image->time ? image->time : crash_time;
	/* libkdumpfile, and so drgn, ignore utsname unless all of it is filled in */
	kdump_uts_set(h->sysname, image->release[0] ? "Linux" : NULL, "");
	kdump_uts_set(h->nodename, image->nodename, "(none)");
	kdump_uts_set(h->release, image->release, "");
	kdump_uts_set(h->uts_version, image->version, image->release[0] ? "(unknown)" : "");
	kdump_uts_set(h->machine, arch_uname(image), "");
	kdump_uts_set(h->domainname, NULL, "(none)");
}

/* Put the sub-header and the notes into @buf, which is zero. */
static void kdump_fill_sub(const struct kdump_writer *w, unsigned char *buf)
{
	const struct image *image = w->spec->image;
	const struct kdump_header *h = &w->header;
	const size_t size = (size_t)h->sub_hdr_size * h->block_size;
	const size_t sub_size = kdump_sub_size(h->is64, false);
	struct cursor c = cursor_init(buf, size, h->big, h->is64);
	struct kdump_sub sub = {
		.phys_base = image->phys_base,
		.dump_level = (image->dump_level | w->spec->plan->drop | GDUMP_DROP_ZERO) & 31,
		.max_mapnr = plan_end_pfn(w->spec->plan),
		.off_note = h->block_size + sub_size,
		.size_note = image_notes_size(image),
		.split = w->spec->part_end != 0,
		.start_pfn = w->spec->part_start,
		.end_pfn = w->spec->part_end,
	};
	const struct gdump_note *note;

	if (image->vmcoreinfo) {
		note = image_note(image, "VMCOREINFO");
		sub.off_vmcoreinfo = sub.off_note + image_note_off(image, note);
		sub.size_vmcoreinfo = image->vmcoreinfo_size;
	}
	note = image_note(image, "ERASEINFO");
	if (note) {
		sub.off_eraseinfo = sub.off_note + image_note_off(image, note);
		sub.size_eraseinfo = note->size;
	}
	kdump_put_sub(&c, &sub);
	image_notes_put(image, buf + sub_size);
}

/* Write both headers.  kdump_finish() writes them again, since only then is it known whether
 * the dump is complete and, for --live, what the registers were.
 */
static struct gdump_error *kdump_write_headers(struct kdump_writer *w, bool complete)
{
	struct kdump_header h = w->header;
	const size_t size = (size_t)(1 + h.sub_hdr_size) * h.block_size;
	CLEANUP_FREE unsigned char *buf = calloc(1, size);
	struct cursor c = cursor_init(buf, h.block_size, h.big, h.is64);

	if (!buf)
		return error_nomem();
	if (!complete || w->spec->image->incomplete || w->writer.incomplete)
		h.status |= KDUMP_INCOMPLETE;
	kdump_put_main(&c, &h);
	if (w->sink->checksums)
		memcpy(buf + kdump_mark_off(&h), CHECKSUM_MARK, CHECKSUM_MARK_SIZE);
	kdump_fill_sub(w, buf + h.block_size);
	return sink_write(w->sink, 0, buf, size);
}

/* The offset of the next chunk of a bitmap to write, from @off on.  In a file, chunks of zeros
 * are skipped: they read as zero anyway, and there are many if a page has a very high
 * address.  On a stream all of them are written.
 */
static uint64_t kdump_next_chunk(const struct kdump_writer *w, uint64_t off)
{
	uint64_t from, to;

	if (!w->sink->seeks)
		return off;
	if (!plan_covers(w->spec->plan, 8 * off, &from, &to))
		return w->layout.bitmap_size;
	return MAX(round_down(from / 8, CHUNK), off);
}

static struct gdump_error *kdump_write_bitmap(struct kdump_writer *w, bool kept, uint64_t off)
{
	CLEANUP_FREE unsigned char *buf = malloc(CHUNK);
	struct gdump_error *err = NULL;
	size_t n;

	if (!buf)
		return error_nomem();
	for (uint64_t at = kdump_next_chunk(w, 0); !err && at < w->layout.bitmap_size;
	     at = kdump_next_chunk(w, at + n)) {
		n = (size_t)MIN(CHUNK, w->layout.bitmap_size - at);
		plan_bitmap(w->spec->plan, kept, 8 * at, buf, n);
		if (!w->sink->seeks || !is_zero(buf, n))
			err = sink_write(w->sink, off + at, buf, n);
	}
	return err;
}

static void kdump_place(struct writer *writer, struct batch *b)
{
	struct kdump_writer *w = (struct kdump_writer *)writer;

	b->data_off = w->next_data;
	b->index = w->next_index;
	w->next_data += b->data_len;
	w->next_index += b->num_pages;
}

/* The descriptor of a page whose data, if it has its own, are at @off */
static void kdump_put_desc(const struct kdump_writer *w, const struct page *p, uint64_t off,
			   unsigned char *buf)
{
	struct cursor c = cursor_init(buf, KDUMP_DESC_SIZE, w->header.big, true);
	const bool zero = p->kind == PAGE_ZERO;

	/* lost pages: offset, size and flags are 0 */
	put_u64(&c, zero ? w->layout.data : p->kind == PAGE_LOST ? 0 : off);
	put_u32(&c, zero ? w->header.block_size : p->len);
	put_u32(&c, p->kind == PAGE_COMPRESSED ? w->writer.codec->kdump_flag : 0);
	put_u64(&c, 0);
}

/* How many pages of a batch, from @i on, are zero */
static size_t kdump_zero_run(const struct batch *b, size_t i)
{
	size_t n = 0;

	while (i + n < b->num_pages && b->pages[i + n].kind == PAGE_ZERO)
		n++;
	return n;
}

/* Zero pages have the same descriptor, and most of a large guest is zero: so runs of them are
 * copied, twice as many each time.
 */
static void kdump_repeat_desc(unsigned char *buf, size_t num)
{
	for (size_t done = 1, n; done < num; done += n) {
		n = MIN(done, num - done);
		memcpy(buf + done * KDUMP_DESC_SIZE, buf, n * KDUMP_DESC_SIZE);
	}
}

static void kdump_put_descs(const struct kdump_writer *w, const struct batch *b, unsigned char *buf)
{
	uint64_t off = b->data_off;

	for (size_t i = 0, n; i < b->num_pages; i += n) {
		kdump_put_desc(w, &b->pages[i], off, buf + i * KDUMP_DESC_SIZE);
		off += b->pages[i].len;
		n = MAX(kdump_zero_run(b, i), 1);
		kdump_repeat_desc(buf + i * KDUMP_DESC_SIZE, n);
	}
}

static struct gdump_error *kdump_flush_descs(struct kdump_writer *w)
{
	struct gdump_error *err = sink_write(w->sink, w->desc_off, w->desc_buf, w->desc_len);

	w->desc_off += w->desc_len;
	w->desc_len = 0;
	return err;
}

/* Batches are not ascending: each run of adjacent pages has its own place in the table. */
static struct gdump_error *kdump_store_scattered(struct kdump_writer *w, const struct batch *b,
						 const unsigned char *descs)
{
	struct gdump_error *err = NULL;

	for (size_t i = 0, n; !err && i < b->num_pages; i += n) {
		const uint64_t index = plan_rank(&w->rank, b->pages[i].pfn);

		n = 1;
		while (i + n < b->num_pages && b->pages[i + n].pfn == b->pages[i].pfn + n)
			n++;
		err = sink_write(w->sink, w->layout.desc + index * KDUMP_DESC_SIZE,
				 descs + i * KDUMP_DESC_SIZE, n * KDUMP_DESC_SIZE);
	}
	return err;
}

static struct gdump_error *kdump_store_descs(struct kdump_writer *w, const struct batch *b)
{
	const size_t size = b->num_pages * KDUMP_DESC_SIZE;
	CLEANUP_FREE unsigned char *buf = NULL;

	if (w->desc_buf) {
		struct gdump_error *err = NULL;

		if (w->desc_len + size > DESC_BUFFER)
			err = kdump_flush_descs(w);
		kdump_put_descs(w, b, w->desc_buf + w->desc_len);
		w->desc_len += size;
		return err;
	}
	buf = malloc(size);
	if (!buf)
		return error_nomem();
	kdump_put_descs(w, b, buf);
	if (w->rank.counts)
		return kdump_store_scattered(w, b, buf);
	return sink_write(w->sink, w->layout.desc + b->index * KDUMP_DESC_SIZE, buf, size);
}

static struct gdump_error *kdump_store(struct writer *writer, const struct batch *b)
{
	struct kdump_writer *w = (struct kdump_writer *)writer;
	/* data first, so that no descriptor ever points to data that were not written */
	struct gdump_error *err = sink_write(w->sink, b->data_off, b->data, b->data_len);

	return err ? err : kdump_store_descs(w, b);
}

static struct gdump_error *kdump_finish(struct writer *writer, uint64_t *size)
{
	struct kdump_writer *w = (struct kdump_writer *)writer;
	const bool again = w->sink->seeks || (w->sink->amends && writer->incomplete);
	struct gdump_error *err = w->sink->seeks ? NULL : kdump_flush_descs(w);

	*size = w->next_data;
	writer->unmarked = writer->incomplete && !again;
	return !err && again ? kdump_write_headers(w, true) : err;
}

static void kdump_close(struct writer *writer)
{
	struct kdump_writer *w = (struct kdump_writer *)writer;

	free(w->desc_buf);
	plan_rank_deinit(&w->rank);
	free(w);
}

static const struct writer_ops kdump_writer_ops = {
	.place = kdump_place,
	.store = kdump_store,
	.finish = kdump_finish,
	.close = kdump_close,
};

/* Write all that precedes the data, and the page that all zero pages share. */
static struct gdump_error *kdump_write_head(struct kdump_writer *w)
{
	const uint32_t bs = w->header.block_size;
	CLEANUP_FREE void *zeros = calloc(1, bs);
	struct gdump_error *err = zeros ? NULL : error_nomem();

	if (!err)
		err = kdump_write_headers(w, !w->sink->seeks);
	if (!err)
		err = kdump_write_bitmap(w, false, w->layout.bitmap1);
	if (!err)
		err = kdump_write_bitmap(w, true, w->layout.bitmap2);
	return err ? err : sink_write(w->sink, w->layout.data, zeros, bs);
}

bool kdump_takes_trailer(const struct image *image)
{
	(void)image;
	return true;
}

struct gdump_error *kdump_create(const struct write_spec *spec, struct writer **ret)
{
	struct kdump_writer *w = calloc(1, sizeof(*w));
	CLEANUP_WRITER struct writer *owned = &w->writer;
	struct gdump_error *err;

	if (!w)
		return error_nomem();
	w->writer = (struct writer){ .ops = &kdump_writer_ops, .codec = spec->codec,
				     .level = spec->level };
	w->sink = spec->sink;
	w->spec = spec;
	if (div_up(div_up(plan_end_pfn(spec->plan), 8), spec->image->page_size) > UINT32_MAX / 2)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "memory ends at 0x%" PRIx64 ": too high for kdump's bitmaps; write an ELF file",
				 plan_end_pfn(spec->plan) *
				 spec->plan->page_size);
	if (!spec->image->is64 && spec->image->arch != &arch_i386)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "readers of kdump files do not agree about 32-bit machines other than i386; write an ELF file");
	kdump_fill_main(&w->header, spec);
	w->layout = kdump_layout(&w->header, plan_end_pfn(spec->plan),
				 gdump_plan_kept(spec->plan));
	w->desc_off = w->layout.desc;
	w->next_data = w->layout.data + w->header.block_size;
	if (!w->sink->seeks) {
		w->desc_buf = malloc(DESC_BUFFER);
		if (!w->desc_buf)
			return error_nomem();
	}
	err = spec->any_order ? plan_rank_init(&w->rank, spec->plan) : NULL;
	if (!err)
		err = kdump_write_head(w);
	if (err)
		return err;
	owned = NULL;
	*ret = &w->writer;
	return NULL;
}
