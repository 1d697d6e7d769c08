/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/s390_read.c - reading stand-alone dumps of s390x; see s390.h
 */
#include "s390.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../util/cursor.h"
#include "format.h"
#include "pieces_source.h"

enum {
	SAVED_OFF = 0x1200, SAVED_SIZE = 0x200, /* of s390_saved */
	VECTORS_OFF = 0x11b0, VECTORS_ALIGN = 1024,
	MAX_DESC = 336, PID_OFF = 32,
};

const struct s390_note s390_notes[S390_NUM_NOTES] = {
	[PRSTATUS] = { "CORE", NT_PRSTATUS, 336 },
	[FPREGSET] = { "CORE", NT_FPREGSET, 136 },
	[TIMER] = { "LINUX", NT_S390_TIMER, 8 },
	[TODCMP] = { "LINUX", NT_S390_TODCMP, 8 },
	[TODPREG] = { "LINUX", NT_S390_TODPREG, 4 },
	[CTRS] = { "LINUX", NT_S390_CTRS, 128 },
	[PREFIX] = { "LINUX", NT_S390_PREFIX, 4 },
	[VXRS_LOW] = { "LINUX", NT_S390_VXRS_LOW, 128 },
	[VXRS_HIGH] = { "LINUX", NT_S390_VXRS_HIGH, 256 },
};

const struct s390_saved s390_saved[S390_NUM_SAVED] = {
	{ 0x1200, FPREGSET, 8, 128 },   { 0x1280, PRSTATUS, 128, 128 },
	{ 0x1300, PRSTATUS, 112, 16 },  { 0x1318, PREFIX, 0, 4 },
	{ 0x131c, FPREGSET, 0, 4 },     { 0x1324, TODPREG, 0, 4 },
	{ 0x1328, TIMER, 0, 8 },        { 0x1330, TODCMP, 0, 8 },
	{ 0x1340, PRSTATUS, 256, 64 },  { 0x1380, CTRS, 0, 128 },
};

struct s390_header {
	uint64_t memory, tod;
	uint64_t real;                  /* memory of the machine; 0: not said   */
	uint32_t arch, num_pages;       /* num_pages: 0 if it is not said       */
	unsigned int num_cpus;
	bool extended, volume, cut_short;
	uint32_t prefixes[S390_CPUS];
};

struct s390_source {
	struct pieces_source base;
	uint64_t known;                 /* below it, memory without a piece is zero */
	uint64_t end;                   /* where the end marker should be       */
};

static bool s390_probe(const unsigned char *head, size_t len)
{
	struct cursor c = cursor_init(head, len, true, true);
	const uint64_t magic = get_u64(&c);

	return !c.bad && (magic == S390_MAGIC || magic == S390_MAGIC_EXTENDED);
}

static struct gdump_error *s390_read_header(struct bytes *in, struct s390_header *h)
{
	unsigned char buf[S390_HEADER];
	struct gdump_error *err = bytes_read(in, 0, buf, sizeof(buf));
	struct cursor c = cursor_init(buf, sizeof(buf), true, true);

	if (err)
		return err;
	h->extended = get_u64(&c) == S390_MAGIC_EXTENDED;
	cursor_take(&c, 24 - 8);
	h->memory = get_u64(&c);
	cursor_take(&c, 48 - 32);
	h->num_pages = get_u32(&c);
	cursor_take(&c, 56 - 52);
	h->tod = get_u64(&c);
	cursor_take(&c, 72 - 64);
	h->arch = get_u32(&c);
	cursor_take(&c, 84 - 76);
	h->real = get_u64(&c);
	h->volume = get_u8(&c);
	h->num_cpus = get_u16(&c);
	h->cut_short = !memcmp(buf + S390_CUT_SHORT_OFF, S390_CUT_SHORT, 8);
	c = cursor_init(buf + S390_PREFIXES_OFF, sizeof(h->prefixes), true, true);
	for (size_t i = 0; i < S390_CPUS; i++)
		h->prefixes[i] = get_u32(&c);
	return NULL;
}

static struct gdump_error *s390_check_header(const struct s390_header *h)
{
	if (h->arch != S390_ARCH_64)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "dumps of 31-bit machines are not supported");
	if (h->volume)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the dump is spread over several disks, and this is one of them: let zgetdump copy all of them");
	if (h->num_cpus > S390_CPUS)
		return error_new(GDUMP_ERR_CORRUPT, "header: %u CPUs, but there can be at most %d",
				 h->num_cpus, S390_CPUS);
	if (!h->memory || h->memory % S390_PAGE || h->memory > INT64_MAX / 2)
		return error_new(GDUMP_ERR_CORRUPT, "header: invalid memory size 0x%" PRIx64,
				 h->memory);
	return NULL;
}

/* The plain form: as much of memory as is in the file */
static struct gdump_error *s390_find_memory(struct s390_source *s, const struct s390_header *h)
{
	const uint64_t there = MIN(h->memory, s->base.in->size - S390_HEADER);

	s->known = there;
	s->end = S390_HEADER + h->memory;
	return there ? pieces_add(&s->base.pieces, 0, there, S390_HEADER) : NULL;
}

struct s390_segment {
	uint64_t start, size;
	bool last;
};

/* The segment whose page is at @off; it lies above all segments before it. */
static struct gdump_error *s390_read_segment(const struct s390_source *s,
					     const struct s390_header *h, uint64_t off,
					     struct s390_segment *ret)
{
	unsigned char buf[28];
	struct gdump_error *err = bytes_read(s->base.in, off, buf, sizeof(buf));
	struct cursor c = cursor_init(buf, sizeof(buf), true, true);

	if (err)
		return err;
	ret->start = get_u64(&c);
	ret->size = get_u64(&c);
	ret->last = get_u64(&c);
	if (get_u32(&c))
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "segment at offset 0x%" PRIx64 " is compressed: let zgetdump copy it from its disk",
				 off);
	if (ret->start < s->known || !range_fits(ret->start, ret->size, h->memory))
		return error_new(GDUMP_ERR_CORRUPT,
				 "segment at offset 0x%" PRIx64 ": invalid range of 0x%" PRIx64 " bytes at 0x%" PRIx64,
				 off, ret->size, ret->start);
	return NULL;
}

/* The extended form: up to the last segment, or to the end of a file that was cut short */
static struct gdump_error *s390_find_segments(struct s390_source *s, const struct s390_header *h)
{
	uint64_t off = S390_HEADER;
	struct s390_segment seg = { .last = false };
	struct gdump_error *err = NULL;

	while (!err && !seg.last && off < s->base.in->size && s->base.in->size - off > S390_PAGE) {
		uint64_t there;

		err = s390_read_segment(s, h, off, &seg);
		if (err)
			return err;
		off += S390_PAGE;
		there = MIN(seg.size, s->base.in->size - off);
		if (there)
			err = pieces_add(&s->base.pieces, seg.start, there, off);
		s->known = seg.start + there;
		off += seg.size;
	}
	if (seg.last)
		s->known = MAX(s->known, off <= s->base.in->size ? h->memory : 0);
	s->end = seg.last ? off : UINT64_MAX;
	return err;
}

/* Nothing in the file shows where the memory of the extended form ends, as zeros follow its last
 * segment.  But the header also has the low half of the number of pages, and the memory of the
 * machine, of which a limit may leave some out.
 */
static bool s390_has_size(const struct s390_header *h)
{
	return !h->extended ||
	       ((!h->num_pages || h->num_pages == (uint32_t)(h->memory / S390_PAGE)) &&
		(!h->real || h->real >= h->memory));
}

/* Whether the end marker is there, with a clock that is not before that of the header */
static bool s390_is_complete(const struct s390_source *s, const struct s390_header *h)
{
	unsigned char buf[S390_END];
	struct cursor c = cursor_init(buf + 8, 8, true, true);
	struct gdump_error *err;

	if (h->cut_short || !s390_has_size(h) || !range_fits(s->end, S390_END, s->base.in->size))
		return false;
	err = bytes_read(s->base.in, s->end, buf, sizeof(buf));
	if (err) {
		gdump_error_destroy(err);
		return false;
	}
	return !memcmp(buf, S390_END_MARK, 8) && get_u64(&c) >= h->tod;
}

/* Between segments memory is zero. */
static struct gdump_error *s390_read(struct source *source, uint64_t paddr, void *buf, size_t len)
{
	const struct s390_source *s = (const struct s390_source *)source;
	const struct pieces *ps = &s->base.pieces;
	const size_t next = pieces_after(ps, paddr);

	if (paddr < s->known && (next == ps->num || ps->list[next].paddr >= paddr + len)) {
		memset(buf, 0, len);
		return NULL;
	}
	return pieces_source_read(source, paddr, buf, len);
}

static struct gdump_error *s390_scan(struct source *source, uint64_t pfn, size_t num,
				     unsigned char *state, bool holes)
{
	const struct s390_source *s = (const struct s390_source *)source;
	struct gdump_error *err = pieces_source_scan(source, pfn, num, state, holes);

	for (size_t i = 0; i < num; i++) {
		if (state[i] == PAGE_ABSENT && pfn + i < s->known / S390_PAGE)
			state[i] = PAGE_HOLE;
	}
	return err;
}

static uint64_t s390_gap(struct source *source, uint64_t pfn, uint64_t num, enum page_state *state)
{
	const struct s390_source *s = (const struct s390_source *)source;
	const uint64_t known = s->known / S390_PAGE, n = pieces_source_gap(source, pfn, num, state);

	if (*state != PAGE_ABSENT || pfn >= known)
		return n;
	*state = PAGE_HOLE;
	return MIN(n, known - pfn);
}

static const struct source_ops s390_ops = {
	.name = "s390",
	.has_absent = true,
	.read = s390_read,
	.scan = s390_scan,
	.gap = s390_gap,
	.close = pieces_source_close,
};

struct gdump_error *s390_find_vectors(struct source *s, uint64_t prefix, uint64_t *ret)
{
	unsigned char buf[8];
	struct cursor c = cursor_init(buf, sizeof(buf), true, true);
	struct gdump_error *err = source_read(s, prefix + VECTORS_OFF, buf, sizeof(buf));

	*ret = err ? 0 : get_u64(&c);
	if (*ret % VECTORS_ALIGN)
		*ret = 0;
	return err;
}

static struct gdump_error *s390_add_vectors(struct s390_source *s, uint64_t prefix,
					    unsigned char (*descs)[MAX_DESC], bool *found)
{
	unsigned char buf[S390_VECTORS];
	uint64_t paddr;
	struct gdump_error *err = s390_find_vectors(&s->base.source, prefix, &paddr);

	*found = paddr && range_fits(paddr, sizeof(buf), s->known);
	if (!*found)
		return err;
	err = source_read(&s->base.source, paddr, buf, sizeof(buf));
	for (size_t i = 0; i < 16; i++)
		memcpy(descs[VXRS_LOW] + 8 * i, buf + 16 * i + 8, 8);
	memcpy(descs[VXRS_HIGH], buf + 256, 256);
	return err;
}

static struct gdump_error *s390_add_notes(struct source *s, size_t cpu,
					  unsigned char (*descs)[MAX_DESC], size_t num)
{
	struct cursor pid = cursor_init(descs[PRSTATUS] + PID_OFF, 4, true, true);
	struct gdump_error *err = NULL;

	put_u32(&pid, (uint32_t)cpu + 1);
	for (size_t i = 0; !err && i < num; i++)
		err = image_add_note(&s->image, s390_notes[i].name, s390_notes[i].type, descs[i],
				     s390_notes[i].size);
	return err;
}

/* From where the CPU stored it to its note; @buf is the area from SAVED_OFF on */
static void s390_take_saved(const struct s390_saved *saved, const unsigned char *buf,
			    unsigned char (*descs)[MAX_DESC])
{
	memcpy(descs[saved->note] + saved->off, buf + (saved->saved - SAVED_OFF), saved->len);
}

/* Add the registers of a CPU.  Without its prefix pages they are lost, but the CPU counts. */
static struct gdump_error *s390_add_cpu(struct s390_source *s, size_t cpu, uint64_t prefix)
{
	unsigned char descs[S390_NUM_NOTES][MAX_DESC] = { 0 }, buf[SAVED_SIZE];
	struct gdump_error *err;
	bool vectors;

	if (!range_fits(prefix, S390_PREFIX_PAGES, s->known)) {
		s->base.source.image.num_lost_cpus++;
		return s390_add_notes(&s->base.source, cpu, descs, 1);
	}
	err = source_read(&s->base.source, prefix + SAVED_OFF, buf, sizeof(buf));
	for (size_t i = 0; !err && i < S390_NUM_SAVED; i++)
		s390_take_saved(&s390_saved[i], buf, descs);
	if (!err)
		err = s390_add_vectors(s, prefix, descs, &vectors);
	if (err)
		return err;
	return s390_add_notes(&s->base.source, cpu, descs, vectors ? S390_NUM_NOTES : VXRS_LOW);
}

static struct gdump_error *s390_add_cpus(struct s390_source *s, const struct s390_header *h)
{
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < h->num_cpus; i++)
		err = error_prefix(s390_add_cpu(s, i, h->prefixes[i]), "CPU %zu", i);
	return err;
}

static struct gdump_error *s390_fill_image(struct s390_source *s)
{
	struct image *image = &s->base.source.image;
	struct s390_header h;
	struct gdump_error *err = s390_read_header(s->base.in, &h);

	if (!err)
		err = s390_check_header(&h);
	if (!err)
		err = h.extended ? s390_find_segments(s, &h) : s390_find_memory(s, &h);
	if (err)
		return err;
	pieces_sort(&s->base.pieces);
	image->machine = EM_S390;
	image->is64 = image->big = true;
	image->page_size = S390_PAGE;
	image->incomplete |= !s390_is_complete(s, &h);
	image->time = h.tod > S390_TOD_1970 ? (h.tod - S390_TOD_1970) / S390_TOD_US / 1000000 : 0;
	image->num_absent = (h.memory - s->known) / S390_PAGE;
	snprintf(image->detail, sizeof(image->detail), "s390 stand-alone dump%s",
		 h.extended ? ", extended" : "");
	err = image_add_range(image, 0, h.memory, GDUMP_RANGE_RAM);
	if (!err)
		err = s390_add_cpus(s, &h);
	return err ? err : image_seal(image);
}

static struct gdump_error *s390_open(struct bytes *in, struct source **ret)
{
	struct s390_source *s = pieces_source_create(sizeof(*s), &s390_ops, in);
	struct gdump_error *err = s ? s390_fill_image(s) : error_nomem();

	return pieces_source_opened(s ? &s->base : NULL,
				    error_prefix(err, "s390 stand-alone dump"), ret);
}

const struct format format_s390 = {
	.name = "s390",
	.summary = "s390 stand-alone dump, as zipl's tools and zgetdump write it",
	.seeks = true,
	.writes_twice = true,
	.any_order = true,
	.probe = s390_probe,
	.open = s390_open,
	.check = s390_check,
	.create = s390_create,
};
