/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/s390_write.c - writing stand-alone dumps of s390x; see s390.h
 *
 * Files are the same as zgetdump's except for one register: the programmable field of the TOD
 * clock has a place, which zgetdump reads but does not write.
 */
#include "s390.h"

#include <elf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../util/cursor.h"
#include "pieces.h"

enum { VERSION = 5, LEVEL = 4 };

struct s390_cpu {
	const struct gdump_note *notes[S390_NUM_NOTES];      /* NULL: not known */
	uint32_t prefix;
	bool there;                     /* its prefix pages are memory          */
	uint64_t vectors;               /* 0: there is no place for them        */
};

struct s390_writer {
	struct writer writer;
	const struct write_spec *spec;
	struct pieces pieces;
	uint64_t memory;                /* up to its end                        */
	struct s390_cpu cpus[S390_CPUS];
	size_t num_cpus;
};

static bool s390_is_memory(const struct image *image, uint64_t paddr, uint64_t size)
{
	const struct gdump_range *r = image_range_at(image, paddr);

	return r && range_fits(paddr - r->start, size, r->size);
}

/* A CPU whose prefix is not known is omitted; one whose prefix pages are no memory counts. */
static struct gdump_error *s390_take_cpu(struct s390_writer *w, size_t cpu)
{
	const struct image *image = w->spec->image;
	struct s390_cpu c = { .there = false };
	const struct gdump_note *n;
	struct gdump_error *err = NULL;
	struct cursor prefix;

	for (size_t i = 0; (n = image_cpu_note(image, cpu, i)); i++) {
		for (size_t k = 0; k < S390_NUM_NOTES; k++) {
			if (n->type == s390_notes[k].type && n->size == s390_notes[k].size &&
			    !strcmp(n->name, s390_notes[k].name))
				c.notes[k] = n;
		}
	}
	if (!c.notes[PREFIX]) {
		w->writer.lost_cpus++;
		return NULL;
	}
	if (w->num_cpus == S390_CPUS)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "format s390 has room for %d CPUs only", S390_CPUS);
	prefix = cursor_init(c.notes[PREFIX]->desc, 4, true, true);
	c.prefix = get_u32(&prefix);
	c.there = s390_is_memory(image, c.prefix, S390_PREFIX_PAGES);
	if (c.there && c.notes[VXRS_LOW] && c.notes[VXRS_HIGH] && c.notes[FPREGSET])
		err = s390_find_vectors(w->spec->source, c.prefix, &c.vectors);
	if (c.vectors && !s390_is_memory(image, c.vectors, S390_VECTORS))
		c.vectors = 0;
	w->writer.lost_cpus += !c.there;
	w->cpus[w->num_cpus++] = c;
	return err;
}

static struct gdump_error *s390_take_cpus(struct s390_writer *w)
{
	struct gdump_error *err = NULL;

	for (size_t cpu = 0; !err && cpu < w->spec->image->num_cpus_with_notes; cpu++)
		err = error_prefix(s390_take_cpu(w, cpu), "CPU %zu", cpu);
	return err;
}

static uint64_t s390_tod_of(const struct image *image)
{
	return image->time ? S390_TOD_1970 + image->time * 1000000 * S390_TOD_US : 0;
}

static struct gdump_error *s390_write_header(struct s390_writer *w)
{
	const struct image *image = w->spec->image;
	unsigned char buf[S390_HEADER] = { 0 };
	struct cursor c = cursor_init(buf, sizeof(buf), true, true);

	put_u64(&c, S390_MAGIC);
	put_u32(&c, VERSION);
	put_u32(&c, S390_HEADER);
	put_u32(&c, LEVEL);
	put_u32(&c, S390_PAGE);
	put_u64(&c, w->memory);
	put_u64(&c, 0);
	put_u64(&c, w->memory - 1);
	put_u32(&c, (uint32_t)(w->memory / S390_PAGE));
	put_u32(&c, 0);
	put_u64(&c, s390_tod_of(image));
	put_u64(&c, 0);                 /* ID of a CPU */
	put_u32(&c, S390_ARCH_64);
	cursor_take(&c, 93 - 76);
	put_u16(&c, (uint16_t)w->num_cpus);
	if (image->incomplete || w->writer.incomplete)
		memcpy(buf + S390_CUT_SHORT_OFF, S390_CUT_SHORT, 8);
	c = cursor_init(buf + S390_PREFIXES_OFF, sizeof(buf) - S390_PREFIXES_OFF, true, true);
	for (size_t i = 0; i < w->num_cpus; i++)
		put_u32(&c, w->cpus[i].prefix);
	return sink_write(w->spec->sink, 0, buf, sizeof(buf));
}

static struct gdump_error *s390_write_end(struct s390_writer *w)
{
	unsigned char buf[S390_END];
	struct cursor c = cursor_init(buf, sizeof(buf), true, true);

	put_bytes(&c, S390_END_MARK, 8);
	put_u64(&c, s390_tod_of(w->spec->image));
	return sink_write(w->spec->sink, S390_HEADER + w->memory, buf, sizeof(buf));
}

/* The upper halves of the first sixteen vector registers are the floating-point ones. */
static struct gdump_error *s390_write_vectors(struct s390_writer *w, const struct s390_cpu *cpu)
{
	const unsigned char *low = cpu->notes[VXRS_LOW]->desc, *fp = cpu->notes[FPREGSET]->desc;
	unsigned char buf[S390_VECTORS];

	for (size_t i = 0; i < 16; i++) {
		memcpy(buf + 16 * i, fp + 8 + 8 * i, 8);
		memcpy(buf + 16 * i + 8, low + 8 * i, 8);
	}
	memcpy(buf + 256, cpu->notes[VXRS_HIGH]->desc, 256);
	return sink_write(w->spec->sink, S390_HEADER + cpu->vectors, buf, sizeof(buf));
}

/* Memory has been written: put the registers of a CPU into it. */
static struct gdump_error *s390_write_cpu(struct s390_writer *w, const struct s390_cpu *cpu)
{
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && cpu->there && i < S390_NUM_SAVED; i++) {
		const struct s390_saved *saved = &s390_saved[i];
		const struct gdump_note *n = cpu->notes[saved->note];

		if (n)
			err = sink_write(w->spec->sink, S390_HEADER + cpu->prefix + saved->saved,
					 (const char *)n->desc + saved->off, saved->len);
	}
	return err || !cpu->vectors ? err : s390_write_vectors(w, cpu);
}

static struct gdump_error *s390_store(struct writer *writer, const struct batch *b)
{
	struct s390_writer *w = (struct s390_writer *)writer;

	return pieces_store(&w->pieces, w->spec->sink, b, w->spec->plan->page_size);
}

static struct gdump_error *s390_finish(struct writer *writer, uint64_t *size)
{
	struct s390_writer *w = (struct s390_writer *)writer;
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < w->num_cpus; i++)
		err = s390_write_cpu(w, &w->cpus[i]);
	if (!err)
		err = s390_write_header(w);
	*size = S390_HEADER + w->memory + S390_END;
	return err ? err : s390_write_end(w);
}

static void s390_writer_close(struct writer *writer)
{
	struct s390_writer *w = (struct s390_writer *)writer;

	pieces_deinit(&w->pieces);
	free(w);
}

static const struct writer_ops s390_writer_ops = {
	.store = s390_store,
	.finish = s390_finish,
	.close = s390_writer_close,
};

static struct gdump_error *s390_check_machine(const struct image *image)
{
	if (image->machine == EM_S390 && image->is64)
		return NULL;
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "format s390 can hold memory of s390x only, and this machine is %s",
			 arch_uname(image));
}

struct gdump_error *s390_check(struct source *s, const struct gdump_plan *plan)
{
	(void)plan;
	return s390_check_machine(&s->image);
}

static struct gdump_error *s390_lay_out(struct s390_writer *w)
{
	const struct image *image = w->spec->image;
	struct gdump_error *err = s390_check_machine(image);

	for (size_t i = 0; !err && i < image->num_ranges; i++) {
		const struct gdump_range *r = &image->ranges[i];

		if (!range_fits(r->start, r->size, INT64_MAX / 2))
			return error_new(GDUMP_ERR_UNSUPPORTED,
					 "memory at 0x%" PRIx64 " is past the end of the largest possible file; omit it with --length, or write another format",
					 r->start);
		err = pieces_add(&w->pieces, r->start, r->size, S390_HEADER + r->start);
		w->memory = round_up(r->start + r->size, S390_PAGE);
	}
	return err;
}

struct gdump_error *s390_create(const struct write_spec *spec, struct writer **ret)
{
	struct s390_writer *w = calloc(1, sizeof(*w));
	CLEANUP_WRITER struct writer *owned = &w->writer;
	struct gdump_error *err;

	if (!w)
		return error_nomem();
	w->writer.ops = &s390_writer_ops;
	w->writer.zero_filled = spec->plan->num_pages - spec->plan->kept;
	w->spec = spec;
	err = s390_lay_out(w);
	if (!err)
		err = s390_take_cpus(w);
	/* readers take a file without the end marker for one that was cut short */
	if (!err)
		err = s390_write_header(w);
	if (err)
		return err;
	owned = NULL;
	*ret = &w->writer;
	return NULL;
}
