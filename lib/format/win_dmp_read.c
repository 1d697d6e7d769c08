/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/win_dmp_read.c - Windows crash dumps, full ones and those with a bitmap
 *
 * A bitmap dump has a second header after the first:
 *
 *      0  "SDMP" or "FDMP"         32  u64 offset of the first page in the file
 *      4  "DUMP"                   40  u64 pages in the file
 *                                  48  u64 bits of the bitmap
 *                                  56  the bitmap, lowest bit first
 *
 * and then the pages whose bits are set.  The registers in memory become notes.  So does the
 * header, as in ELF files of QEMU: with both, a file of another format can be converted to a
 * Windows dump again.
 */
#include "win_dmp.h"

#include <elf.h>
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

enum {
	BITMAP_HEADER = 0x38,
	BITMAP_CHUNK = 65536,
	MAX_PIECES = 1 << 24,
	MAX_CONTEXTS = 4096,
};

struct win_source {
	struct pieces_source base;
	struct win_header header;
	unsigned char head[WIN_HEADER_SIZE];
	uint64_t first_page;            /* of a bitmap dump: where its pages begin; else 0 */
};

static bool win_dmp_probe(const unsigned char *head, size_t len)
{
	return win_is_header(head, len) || (len >= 8 && !memcmp(head, "PAGEDUMP", 8));
}

/* The pages of @run are at @off, as far as the file is not cut short. */
static struct gdump_error *win_add_pages(struct win_source *w, struct win_run run, uint64_t off)
{
	const uint64_t size = run.num * WIN_PAGE, end = w->base.in->size;
	const uint64_t there = off < end ? MIN(size, end - off) : 0;

	if (there < size)
		w->base.source.image.incomplete = true;
	if (w->base.pieces.num == MAX_PIECES)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "more than %d pieces of memory", MAX_PIECES);
	return there ? pieces_add(&w->base.pieces, run.pfn * WIN_PAGE, there, off) : NULL;
}

static struct gdump_error *win_add_range(struct win_source *w, struct win_run run)
{
	return image_add_range(&w->base.source.image, run.pfn * WIN_PAGE, run.num * WIN_PAGE,
			       GDUMP_RANGE_RAM);
}

static struct gdump_error *win_read_runs(struct win_source *w)
{
	struct gdump_error *err = NULL;
	uint64_t off = WIN_HEADER_SIZE;

	for (size_t i = 0; !err && i < w->header.num_runs; i++) {
		err = win_add_range(w, w->header.runs[i]);
		if (!err)
			err = win_add_pages(w, w->header.runs[i], off);
		off += w->header.runs[i].num * WIN_PAGE;
	}
	return err;
}

static bool win_in_runs(const struct win_header *h, struct win_run run)
{
	for (size_t i = 0; i < h->num_runs; i++) {
		if (run.pfn >= h->runs[i].pfn &&
		    range_fits(run.pfn - h->runs[i].pfn, run.num, h->runs[i].num))
			return true;
	}
	return false;
}

/* The state of reading a bitmap chunk by chunk, and finding the runs in it */
struct win_bitmap {
	uint64_t first_page, num_pages, num_bits;
	uint64_t stored;                /* pages of runs so far                 */
	struct win_run run;             /* grows; num 0: none                   */
	bool runs_known;                /* by the first header                  */
};

static struct gdump_error *win_end_run(struct win_source *w, struct win_bitmap *b)
{
	struct gdump_error *err = NULL;

	if (!b->run.num)
		return NULL;
	if (!b->runs_known || !win_in_runs(&w->header, b->run))
		err = win_add_range(w, b->run);
	if (!err)
		err = win_add_pages(w, b->run, b->first_page + b->stored * WIN_PAGE);
	b->stored += b->run.num;
	b->run.num = 0;
	return err;
}

static struct gdump_error *win_take_bits(struct win_source *w, struct win_bitmap *b,
					 const unsigned char *bits, uint64_t pfn, uint64_t num)
{
	struct gdump_error *err = NULL;

	for (uint64_t i = 0; !err && i < num; i++) {
		if (i % 8 == 0 && !bits[i / 8] && !b->run.num) {
			i += 7;
			continue;
		}
		if (!(bits[i / 8] >> i % 8 & 1)) {
			err = win_end_run(w, b);
			continue;
		}
		if (!b->run.num)
			b->run.pfn = pfn + i;
		b->run.num++;
	}
	return err;
}

/* Whether the header of a bitmap follows the first one */
static bool win_has_bitmap(const struct win_source *w)
{
	unsigned char buf[8];
	CLEANUP_ERROR struct gdump_error *err = bytes_read(w->base.in, WIN_HEADER_SIZE, buf, sizeof(buf));

	return !err && (!memcmp(buf, "SDMP", 4) || !memcmp(buf, "FDMP", 4)) && !memcmp(buf + 4, "DUMP", 4);
}

static struct gdump_error *win_get_bitmap_header(struct win_source *w, struct win_bitmap *b)
{
	unsigned char buf[BITMAP_HEADER];
	struct gdump_error *err = bytes_read(w->base.in, WIN_HEADER_SIZE, buf, sizeof(buf));
	struct cursor c = cursor_init(buf, sizeof(buf), false, true);

	if (err)
		return err;
	if (!win_has_bitmap(w))
		return error_new(GDUMP_ERR_CORRUPT,
				 "the header at offset 0x%x is not that of a bitmap dump",
				 WIN_HEADER_SIZE);
	cursor_take(&c, 32);
	b->first_page = get_u64(&c);
	b->num_pages = get_u64(&c);
	b->num_bits = get_u64(&c);
	if (b->num_bits > UINT64_C(1) << 40 ||
	    !range_fits(WIN_HEADER_SIZE + BITMAP_HEADER, div_up(b->num_bits, 8), w->base.in->size))
		return error_new(GDUMP_ERR_CORRUPT,
				 "the bitmap of %" PRIu64 " bits extends past the end of the file",
				 b->num_bits);
	if (b->first_page < WIN_HEADER_SIZE + BITMAP_HEADER + div_up(b->num_bits, 8) ||
	    b->first_page > w->base.in->size)
		return error_new(GDUMP_ERR_CORRUPT, "invalid offset of the first page: 0x%" PRIx64,
				 b->first_page);
	return NULL;
}

static struct gdump_error *win_read_bitmap(struct win_source *w)
{
	CLEANUP_FREE unsigned char *buf = malloc(BITMAP_CHUNK);
	struct win_bitmap b = { .runs_known = win_runs_make_sense(&w->header) };
	struct gdump_error *err = buf ? win_get_bitmap_header(w, &b) : error_nomem();

	w->first_page = b.first_page;
	if (!b.runs_known)
		w->header.num_runs = 0;
	for (size_t i = 0; !err && i < w->header.num_runs; i++)
		err = win_add_range(w, w->header.runs[i]);
	for (uint64_t pfn = 0; !err && pfn < b.num_bits; pfn += 8 * BITMAP_CHUNK) {
		const uint64_t num = MIN(b.num_bits - pfn, 8 * BITMAP_CHUNK);

		err = bytes_read(w->base.in, WIN_HEADER_SIZE + BITMAP_HEADER + pfn / 8, buf,
				 (size_t)div_up(num, 8));
		if (!err)
			err = win_take_bits(w, &b, buf, pfn, num);
	}
	if (!err)
		err = win_end_run(w, &b);
	if (!err && b.stored != b.num_pages)
		err = error_new(GDUMP_ERR_CORRUPT,
				"the bitmap has %" PRIu64 " pages, the header says %" PRIu64,
				b.stored, b.num_pages);
	return err;
}

static struct gdump_error *win_read_memory(struct win_source *w)
{
	switch (w->header.type) {
	case WIN_FULL:
		if (!win_runs_make_sense(&w->header))
			return error_new(GDUMP_ERR_CORRUPT,
					 "the %u runs of memory are inconsistent",
					 w->header.num_runs);
		if (win_has_bitmap(w))
			return error_new(GDUMP_ERR_CORRUPT,
					 "dump type %u has no bitmap, but the header of one is at offset 0x%x",
					 w->header.type, WIN_HEADER_SIZE);
		return win_read_runs(w);
	case WIN_KERNEL_OLD:
	case WIN_BITMAP_FULL:
	case WIN_BITMAP_KERNEL:
	case WIN_BITMAP_AUTOMATIC:
		return win_read_bitmap(w);
	case WIN_TRIAGE:
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "a minidump does not contain the machine's memory");
	default:
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "dump type %u is not supported", w->header.type);
	}
}

/* Add the registers of one CPU as notes; false: there are none. */
static bool win_add_cpu(struct win_source *w, struct win_kernel *k, uint32_t cpu,
			struct gdump_error **err)
{
	struct image *image = &w->base.source.image;
	unsigned char context[CONTEXT_SIZE], prstatus[PRSTATUS_SIZE] = { 0 };
	uint64_t at, flags;
	struct gdump_error *read_err;

	if (!win_context_at(k, cpu, &at))
		return false;
	read_err = walker_read(&k->walker, at, context, sizeof(context));
	if (read_err) {
		gdump_error_destroy(read_err);
		return false;
	}
	win_context_to_prstatus(context, prstatus);
	prstatus[PRSTATUS_PID] = (unsigned char)(cpu + 1);      /* as QEMU numbers them */
	prstatus[PRSTATUS_PID + 1] = (unsigned char)((cpu + 1) >> 8);
	*err = image_add_note(image, "CORE", NT_PRSTATUS, prstatus, sizeof(prstatus));
	flags = context[CONTEXT_FLAGS];
	if (!*err && flags & CONTEXT_FLOATING)
		*err = image_add_note(image, "CORE", NT_FPREGSET, context + CONTEXT_FXSAVE,
				      FXSAVE_SIZE);
	return true;
}

static struct gdump_error *win_add_notes(struct win_source *w)
{
	struct win_kernel k;
	struct gdump_error *err = NULL;

	if (win_kernel_init(&k, &w->base.source, w->head)) {
		for (uint32_t i = 0; !err && i < MIN(w->header.num_cpus, MAX_CONTEXTS); i++) {
			if (!win_add_cpu(w, &k, i, &err))
				break;
		}
	}
	win_kernel_deinit(&k);
	return err ? err : image_add_note(&w->base.source.image, "VMCOREINFO", 0, w->head,
					  sizeof(w->head));
}

static struct gdump_error *win_read_header(struct win_source *w)
{
	struct gdump_error *err = bytes_read(w->base.in, 0, w->head, 8);

	if (!err && !win_is_header(w->head, 8))
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "dumps of 32-bit Windows are not supported");
	if (!err)
		err = bytes_read(w->base.in, 0, w->head, sizeof(w->head));
	if (err)
		return err;
	win_get_header(w->head, &w->header);
	if (w->header.machine != WIN_MACHINE_AMD64)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "machine 0x%x is not supported; only x86-64 (0x%x) is",
				 w->header.machine, WIN_MACHINE_AMD64);
	return NULL;
}

static struct gdump_error *win_read_all(struct win_source *w)
{
	struct image *image = &w->base.source.image;
	struct gdump_error *err = win_read_header(w);

	if (!err)
		err = win_read_memory(w);
	pieces_sort(&w->base.pieces);
	image->machine = EM_X86_64;
	image->is64 = true;
	image->page_size = WIN_PAGE;
	/* once to be able to read memory, and again for the notes that are found there */
	if (!err)
		err = image_seal(image);
	if (!err)
		err = win_add_notes(w);
	if (!err)
		err = pieces_source_seal(&w->base);
	snprintf(image->detail, sizeof(image->detail), "%sWindows dump, type %u, bugcheck 0x%x",
		 w->base.in->kind, w->header.type, w->header.bugcheck);
	return error_prefix(err, "Windows dump");
}

/* Whether @own and the header have as many runs of the same sizes.  If not, the dump has other
 * memory than the kernel, and nothing follows from that.
 */
static bool win_runs_are_alike(const struct win_header *own, const struct win_header *h)
{
	for (size_t i = 0; i < own->num_runs; i++) {
		if (own->num_runs != h->num_runs || own->runs[i].num != h->runs[i].num)
			return false;
	}
	return true;
}

/* Where bytes follow the last page, as Windows appends data of drivers, only this shows that an
 * offset is not the one that was written.
 */
static struct gdump_error *win_check_first_page(const struct win_source *w, struct damage *to)
{
	if (w->first_page % WIN_PAGE == 0)
		return NULL;
	to->tables = true;
	return error_new(GDUMP_ERR_CORRUPT,
			 "Windows dump: its pages begin at offset 0x%" PRIx64 ", which is no multiple of the page size",
			 w->first_page);
}

/* Nothing in the file says where its runs begin but the kernel, in its memory. */
static struct gdump_error *win_verify(struct source *s, struct damage *to)
{
	struct win_source *w = (struct win_source *)s;
	const struct win_header *h = &w->header;
	struct gdump_error *err = win_check_first_page(w, to);
	struct win_header own;
	struct win_kernel k;
	const bool known = win_kernel_init(&k, s, w->head) && win_kernel_runs(&k, &own);

	win_kernel_deinit(&k);
	if (err || !known || !win_runs_are_alike(&own, h))
		return err;
	for (size_t i = 0; i < h->num_runs; i++) {
		if (own.runs[i].pfn == h->runs[i].pfn)
			continue;
		to->tables = true;
		return error_new(GDUMP_ERR_CORRUPT,
				 "Windows dump: the header has memory from page 0x%" PRIx64 " on, where the kernel's MmPhysicalMemoryBlock has 0x%" PRIx64,
				 h->runs[i].pfn, own.runs[i].pfn);
	}
	return NULL;
}

static const struct source_ops win_source_ops = {
	.name = "win-dmp",
	.has_absent = true,
	.read = pieces_source_read,
	.scan = pieces_source_scan,
	.gap = pieces_source_gap,
	.verify = win_verify,
	.close = pieces_source_close,
};

static struct gdump_error *win_dmp_open(struct bytes *in, struct source **ret)
{
	struct win_source *w = pieces_source_create(sizeof(*w), &win_source_ops, in);
	struct gdump_error *err = w ? win_read_all(w) : error_nomem();

	return pieces_source_opened(w ? &w->base : NULL, err, ret);
}

const struct format format_win_dmp = {
	.name = "win-dmp",
	.summary = "Windows crash dump of x86-64, for WinDbg; guests need virtio-win's fwcfg driver",
	.probe = win_dmp_probe,
	.open = win_dmp_open,
	.check = win_dmp_check,
	.create = win_dmp_create,
};
