/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/kdump_read.c - kdump-compressed, header versions 1 to 6
 *
 * kdump.h describes the layout, kdump_source.h what each file here does.
 */
#include "kdump_source.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../codec/codec.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum { MAX_NOTES = 1 << 28 };

static bool kdump_probe(const unsigned char *head, size_t len)
{
	return len >= 8 && (!memcmp(head, "KDUMP   ", 8) || !memcmp(head, "DISKDUMP", 8));
}

static struct gdump_error *kdump_read_area(struct kdump_source *k, uint64_t off, uint64_t size,
					   unsigned char **ret)
{
	CLEANUP_FREE unsigned char *buf = NULL;
	struct gdump_error *err;

	if (size > MAX_NOTES)
		return error_new(GDUMP_ERR_CORRUPT, "a size of %" PRIu64 " bytes is too large",
				 size);
	buf = malloc(MIN(size, k->in->size) + 1);       /* if it is not in the file, that fails */
	if (!buf)
		return error_nomem();
	err = bytes_read(k->in, off, buf, size);
	if (err)
		return err;
	*ret = TAKE_PTR(buf);
	return NULL;
}

/* A text that has an area of its own becomes a note, unless there is one. */
static struct gdump_error *kdump_read_text(struct kdump_source *k, const char *name, uint64_t off,
					   uint64_t size)
{
	struct image *image = &k->source.image;
	CLEANUP_FREE unsigned char *text = NULL;
	struct gdump_error *err;

	if (!size || image_note(image, name))
		return NULL;
	err = kdump_read_area(k, off, size, &text);
	if (!err)
		err = image_add_note(image, name, 0, text, size);
	return error_prefix(err, "kdump %s", name);
}

static struct gdump_error *kdump_read_notes(struct kdump_source *k)
{
	struct image *image = &k->source.image;
	const struct kdump_sub *s = &k->sub;
	CLEANUP_FREE unsigned char *notes = NULL;
	struct gdump_error *err = NULL;
	size_t understood;

	if (s->size_note) {
		err = kdump_read_area(k, s->off_note, s->size_note, &notes);
		if (!err)
			err = image_parse_notes(image, notes, s->size_note, &understood);
		if (err)
			return error_prefix(err, "kdump notes");
		for (size_t i = understood; i < s->size_note; i++)
			image->incomplete |= notes[i] != 0;
	}
	/* older files have VMCOREINFO, but no notes */
	err = kdump_read_text(k, "VMCOREINFO", s->off_vmcoreinfo, s->size_vmcoreinfo);
	return err ? err : kdump_read_text(k, "ERASEINFO", s->off_eraseinfo, s->size_eraseinfo);
}

/* How many bits from @i on, a multiple of 64, are @set, counted in whole words */
static size_t kdump_same_bits(const unsigned char *bits, size_t i, size_t num, bool set)
{
	const uint64_t same = set ? ~(uint64_t)0 : 0;
	const size_t first = i;
	uint64_t word;

	for (; i + 64 <= num; i += 64) {
		memcpy(&word, bits + i / 8, sizeof(word));
		if (word != same)
			break;
	}
	return i - first;
}

/* End the run of bits that begins at *@run_start, if there is one, before @pfn. */
static struct gdump_error *kdump_end_run(struct kdump_source *k, uint64_t *run_start, uint64_t pfn)
{
	const uint64_t bs = k->header.block_size, start = *run_start;

	*run_start = UINT64_MAX;
	return start == UINT64_MAX ? NULL :
	       image_add_range(&k->source.image, start * bs, (pfn - start) * bs, GDUMP_RANGE_RAM);
}

/* Turn runs of bits into ranges; the last run may continue in the next chunk. */
static struct gdump_error *kdump_add_runs(struct kdump_source *k, const unsigned char *bits,
					  uint64_t first, size_t num, uint64_t *run_start)
{
	for (size_t i = 0; i < num; i++) {
		struct gdump_error *err;
		bool set;

		/* skip words that neither begin nor end a run */
		if (i % 64 == 0)
			i += kdump_same_bits(bits, i, num, *run_start != UINT64_MAX);
		if (i == num)
			break;
		set = bits[i / 8] >> i % 8 & 1;
		if (set && *run_start == UINT64_MAX)
			*run_start = first + i;
		if (set)
			continue;
		err = kdump_end_run(k, run_start, first + i);
		if (err)
			return err;
	}
	return NULL;
}

/* Holes of the file are skipped: there may be terabytes of them. */
static struct gdump_error *kdump_read_ranges(struct kdump_source *k)
{
	enum { CHUNK = 65536 };
	CLEANUP_FREE unsigned char *buf = malloc(CHUNK);
	uint64_t run_start = UINT64_MAX, num;
	struct gdump_error *err = NULL;

	if (!buf)
		return error_nomem();
	for (uint64_t pfn = 0; !err && pfn < k->max_mapnr; pfn += num) {
		const uint64_t off = k->layout.bitmap1 + pfn / 8, left = k->max_mapnr - pfn;

		num = 8 * bytes_hole(k->in, off, div_up(left, 8));
		if (num) {
			err = kdump_check_inside(k, NULL, pfn, MIN(num, left));
			if (!err)
				err = kdump_end_run(k, &run_start, pfn);
			continue;
		}
		num = MIN(left, 8 * CHUNK);
		err = bytes_read(k->in, off, buf, (size_t)div_up(num, 8));
		if (!err)
			err = kdump_check_inside(k, buf, pfn, num);
		if (!err)
			err = kdump_add_runs(k, buf, pfn, (size_t)num, &run_start);
	}
	if (!err)
		err = kdump_end_run(k, &run_start, k->max_mapnr);
	return error_prefix(err, "kdump bitmap 1");
}

static void kdump_source_close(struct source *s)
{
	struct kdump_source *k = (struct kdump_source *)s;

	for (size_t i = 0; i < k->num_parts; i++)
		bytes_close(k->parts[i].in);
	free(k->parts);
	free(k->bitmap);
	free(k->rank);
	free(k);
}

static const struct source_ops kdump_source_ops = {
	.name = "kdump",
	.has_absent = true,
	.read = kdump_read,
	.stored = kdump_stored,
	.scan = kdump_scan,
	.gap = kdump_gap,
	.verify = kdump_verify,
	.affected = kdump_affected,
	.close = kdump_source_close,
};

/* The ELF machine of utsname.machine.  QEMU writes "S390X", and some names have a suffix. */
static uint16_t kdump_find_machine(const struct kdump_header *h)
{
	const struct arch *arch;

	if (!strncmp(h->machine, "i386", 4))
		return arch_i386.machine;
	for (size_t i = 0; (arch = arch_at(i)); i++) {
		if (!strncasecmp(h->machine, arch->name, strlen(arch->name)))
			return arch->machine;
	}
	return 0;
}

static const char *kdump_codec_name(uint32_t status)
{
	const struct codec *codec = codec_by_kdump_flag(status & codec_kdump_flags());

	return codec ? codec->name : "not compressed";
}

/* Fill in what the headers say of the machine; image_seal() adds what VMCOREINFO says. */
static void kdump_fill_image(struct kdump_source *k)
{
	struct image *image = &k->source.image;
	const struct kdump_header *h = &k->header;

	image->big = h->big;
	image->is64 = h->is64;
	image->machine = kdump_find_machine(h);
	image->incomplete |= (h->status & KDUMP_INCOMPLETE) != 0;
	image->dump_level = k->sub.dump_level;
	image->phys_base = k->sub.phys_base;
	image->num_cpus = MIN(h->nr_cpus, 65536);
	image->time = h->tv_sec;
	image->no_vmemmap = h->status & KDUMP_NO_VMEMMAP;
	if (!strcmp(h->sysname, "Linux") && !strchr(h->uts_version, '(')) {
		memcpy(image->release, h->release, UTS_LEN - 1);
		memcpy(image->version, h->uts_version, UTS_LEN - 1);
		memcpy(image->nodename, h->nodename, UTS_LEN - 1);
	}
	snprintf(image->detail, sizeof(image->detail), "%s%s, version %u, %s%s",
		 k->in->kind, h->diskdump ? "diskdump" : "kdump-compressed", h->version,
		 kdump_codec_name(h->status), k->num_parts > 1 ? ", in parts" : "");
}

static bool kdump_fits_machine(const struct image *image, const struct arch *arch,
			       const struct gdump_note *n)
{
	return !strcmp(n->name, "CORE") && n->type == NT_PRSTATUS &&
	       n->size == arch->prstatus_size &&
	       !(image->big ? arch->only_little : arch->only_big);
}

/* If utsname does not name the machine, the size of the register notes may. */
static void kdump_guess_machine(struct image *image)
{
	const struct arch *arch;

	for (size_t i = 0; !image->machine && (arch = arch_at(i)); i++) {
		for (size_t j = 0; j < image->num_notes && !image->machine; j++) {
			if (kdump_fits_machine(image, arch, &image->notes[j]))
				image->machine = arch->machine;
		}
	}
}

static void kdump_set_absent(struct kdump_source *k)
{
	struct image *image = &k->source.image;
	const uint64_t bs = k->header.block_size;
	uint64_t blocks = 0;

	for (size_t i = 0; i < image->num_ranges; i++)
		blocks += image->ranges[i].size / bs;
	blocks -= MIN(k->num_pages, blocks);
	if (image->incomplete)
		blocks += kdump_count_lost(k);
	image->num_absent = div_up(blocks * bs, image->page_size);
}

static struct gdump_error *kdump_read_mark(struct kdump_source *k)
{
	char mark[CHECKSUM_MARK_SIZE];
	struct gdump_error *err = bytes_read(k->in, kdump_mark_off(&k->header), mark, sizeof(mark));

	k->source.image.has_checksum = !err && !memcmp(mark, CHECKSUM_MARK, sizeof(mark));
	return error_prefix(err, "kdump header");
}

static struct gdump_error *kdump_read_all(struct kdump_source *k)
{
	struct gdump_error *err = kdump_read_headers(k->in, &k->header, &k->sub);

	k->max_mapnr = k->sub.max_mapnr;
	if (!err)
		err = kdump_check_parts(k->parts, k->num_parts, &k->sub);
	if (err)
		return err;
	k->in = k->parts[0].in;
	k->layout = kdump_layout(&k->header, k->max_mapnr, 0);
	kdump_fill_image(k);
	err = kdump_read_mark(k);
	if (!err)
		err = kdump_read_notes(k);
	if (!err)
		err = kdump_read_bitmap(k);
	if (!err)
		err = kdump_read_ranges(k);
	if (!err)
		err = kdump_check_top(k);
	if (err)
		return err;
	kdump_guess_machine(&k->source.image);
	/* QEMU writes the 64-bit header for i386 too */
	if (k->source.image.machine)
		k->source.image.is64 = arch_by_machine(k->source.image.machine)->is64;
	/* a guess, which image_seal() replaces if it knows better: QEMU writes blocks of
	 * 64 KiB for aarch64 and ppc64, whatever the page size of the kernel
	 */
	k->source.image.page_size = k->header.block_size;
	err = image_seal(&k->source.image);
	kdump_set_absent(k);
	return err;
}

static struct gdump_error *kdump_open_parts(struct bytes *const *in, const char *const *names,
					    size_t num, struct source **ret)
{
	struct kdump_source *k = calloc(1, sizeof(*k));
	struct kdump_part *parts = calloc(num, sizeof(*parts));
	CLEANUP_SOURCE struct source *owned = NULL;
	struct gdump_error *err;

	if (!k || !parts) {
		for (size_t i = 0; i < num; i++)
			bytes_close(in[i]);
		free(parts);
		free(k);
		return error_nomem();
	}
	owned = &k->source;
	source_init(&k->source, &kdump_source_ops);
	k->codec_flags = codec_kdump_flags();
	k->parts = parts;
	k->num_parts = num;
	for (size_t i = 0; i < num; i++)
		parts[i] = (struct kdump_part){ .in = in[i], .name = names[i], .end = UINT64_MAX };
	k->in = in[0];
	err = kdump_read_all(k);
	if (err)
		return err;
	owned = NULL;
	*ret = &k->source;
	return NULL;
}

static struct gdump_error *kdump_open(struct bytes *in, struct source **ret)
{
	static const char *const no_name = "this file";

	return kdump_open_parts(&in, &no_name, 1, ret);
}

const struct format format_kdump = {
	.name = "kdump",
	.summary = "kdump-compressed, each page compressed by itself; what crash and drgn like best",
	.seeks = true,
	.marks_lost = true,
	.drops_top_device_memory = true,
	.codec = "zlib",
	.any_order = true,
	.probe = kdump_probe,
	.open = kdump_open,
	.open_parts = kdump_open_parts,
	.create = kdump_create,
	.takes_trailer = kdump_takes_trailer,
};
