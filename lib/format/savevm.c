/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * format/savevm.c - a guest's state as QEMU saves it: a migration stream in a file
 *
 * Theory of operation.  On open the stream is read once, in order; where each page's
 * latest contents are is kept (pages.h), 8 bytes a page, and pages are read from
 * there when they are asked for.  With mapped-ram the pages have fixed places and
 * only bitmaps are read.  The devices behind the RAM are then read as a whole: they
 * give the CPUs' registers, VMCOREINFO's address, and what layout.c wants to know.
 *
 * A stream that ends early is what a guest's host left that went down while it saved:
 * pages that did not get into it are absent.  In a complete one, pages that were
 * never sent are zero.
 *
 * Facts: see the headers of migration/; for mapped-ram QEMU's docs/devel/migration/mapped-ram.rst.
 */
#include "savevm.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../codec/codec.h"
#include "../kernel/find_vmcoreinfo.h"
#include "../migration/cpus.h"
#include "../migration/pages.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum {
	DESCRIPTION_FIRST = 1 << 20,    /* where the description is looked for: */
	DESCRIPTION_MOST = 64 << 20,    /* so far from the end, and then so far */
	MAX_DEVICE_BYTES = 256 << 20,
	MAX_EARLY_BYTES = 16 << 20,
	MAX_RUN = 128,                  /* pages read at once                   */
	PAGE_HEADER = 8,                /* between two pages in a row           */
};

struct savevm {
	struct source source;
	struct source_ops ops;          /* with the format's name               */
	struct bytes *in;
	struct migration m;             /* its blocks                           */
	struct page_index index;
	struct migration_layout layout;
	unsigned char **bitmaps;        /* mapped-ram: by block                 */
	bool big_longs;                 /* they come from a big-endian host     */

	/* only while it is opened */
	struct devices devices;
	unsigned char *early, *late;    /* devices before and behind the RAM    */
	size_t early_len;
};

static bool savevm_probe(const unsigned char *head, size_t len)
{
	return len >= 8 && !memcmp(head, "QEVM", 4) && !head[4] && !head[5] && !head[6];
}

/* Reading pages ----------------------------------------------------------- */

static bool mapped_bit(const struct savevm *v, uint32_t block, uint64_t n)
{
	const uint64_t byte = v->big_longs ? n / 64 * 8 + 7 - n % 64 / 8 : n / 8;

	return v->bitmaps[block][byte] >> n % 8 & 1;
}

static struct gdump_error *page_error(const struct savevm *v, uint32_t block, uint64_t off,
				      const char *what)
{
	return error_new(GDUMP_ERR_CORRUPT, "offset 0x%" PRIx64 " of memory block '%s': %s", off,
			 v->m.blocks[block].name, what);
}

/* The length in front of packed data was checked when the stream was read, but the
 * file may have changed.
 */
static struct gdump_error *read_packed(const struct savevm *v, uint64_t pos, size_t len_size,
				       unsigned char *buf, size_t cap, size_t *ret)
{
	unsigned char head[4];
	struct gdump_error *err = bytes_read(v->in, pos - len_size, head, len_size);

	if (err)
		return err;
	*ret = len_size == 2 ? load_be16(head) : load_be32(head);
	if (*ret > cap)
		return error_new(GDUMP_ERR_CORRUPT, "the file changed while it was read");
	return bytes_read(v->in, pos, buf, *ret);
}

static struct gdump_error *unpack_zlib(const struct savevm *v, uint64_t pos, unsigned char *page)
{
	const size_t size = v->m.page_size, cap = 2 * size;
	CLEANUP_FREE unsigned char *buf = malloc(cap);
	struct gdump_error *err;
	void *state;
	size_t len;
	bool ok;

	if (!buf)
		return error_nomem();
	err = read_packed(v, pos, 4, buf, cap, &len);
	if (err)
		return err;
	state = codec_zlib.unpack_open();
	if (!state)
		return error_nomem();
	ok = codec_zlib.unpack(state, page, size, buf, len);
	codec_zlib.unpack_close(state);
	return ok ? NULL : error_new(GDUMP_ERR_CORRUPT, "the page at offset %" PRIu64
				     " of the file is not what zlib makes", pos);
}

/* An entry that is no delta */
static struct gdump_error *load_whole(const struct savevm *v, uint64_t entry, unsigned char *page)
{
	const size_t size = v->m.page_size;
	const uint64_t value = entry_value(entry);

	switch (entry_form(entry)) {
	case PAGE_AT:
		return bytes_read(v->in, value, page, size);
	case PAGE_ZLIB_AT:
		return unpack_zlib(v, value, page);
	default:                        /* PAGE_NEVER has the value 0, too */
		memset(page, (int)value, size);
		return NULL;
	}
}

static struct gdump_error *apply_delta(const struct savevm *v, uint64_t pos, unsigned char *page)
{
	const size_t size = v->m.page_size;
	CLEANUP_FREE unsigned char *buf = malloc(size);
	struct gdump_error *err;
	size_t len;

	if (!buf)
		return error_nomem();
	err = read_packed(v, pos, 2, buf, size, &len);
	if (!err && !page_apply_delta(page, size, buf, len))
		err = error_new(GDUMP_ERR_CORRUPT, "the XBZRLE page at offset %" PRIu64
				" of the file makes no sense", pos);
	return err;
}

/* Deltas lead from the newest to the oldest, and are applied the other way round. */
static struct gdump_error *load_page(const struct savevm *v, uint64_t entry, unsigned char *page)
{
	const struct page_delta *deltas = v->index.deltas;
	CLEANUP_FREE uint64_t *chain = NULL;
	struct gdump_error *err;
	size_t num = 0;
	uint64_t e;

	for (e = entry; entry_form(e) == PAGE_DELTA; e = deltas[entry_value(e)].before)
		num++;
	chain = malloc((num + 1) * sizeof(*chain));
	if (!chain)
		return error_nomem();
	num = 0;
	for (e = entry; entry_form(e) == PAGE_DELTA; e = deltas[entry_value(e)].before)
		chain[num++] = deltas[entry_value(e)].pos;
	err = load_whole(v, e, page);
	while (!err && num)
		err = apply_delta(v, chain[--num], page);
	return err;
}

static struct gdump_error *read_part(const struct savevm *v, uint64_t entry, size_t from,
				     void *buf, size_t len)
{
	CLEANUP_FREE unsigned char *page = NULL;
	struct gdump_error *err;

	if (entry_form(entry) == PAGE_AT)
		return bytes_read(v->in, entry_value(entry) + from, buf, len);
	if (entry_form(entry) == PAGE_NEVER && v->source.image.incomplete)
		return error_new(GDUMP_ERR_NODATA, "the file ended before this page was in it");
	if (entry_form(entry) <= PAGE_FILL) {
		memset(buf, (int)entry_value(entry), len);
		return NULL;
	}
	page = malloc(v->m.page_size);
	if (!page)
		return error_nomem();
	err = load_page(v, entry, page);
	if (!err)
		memcpy(buf, page + from, len);
	return err;
}

/* How many pages from number @n on, at most @max, follow each other in the file */
static size_t run_length(const struct savevm *v, uint32_t block, uint64_t n, size_t max)
{
	const uint64_t first = page_index_at(&v->index, block, n);
	size_t num = 1;

	if (entry_form(first) != PAGE_AT)
		return 0;
	max = MIN(max, MAX_RUN);
	while (num < max && page_index_at(&v->index, block, n + num) ==
				    first + num * (v->m.page_size + PAGE_HEADER))
		num++;
	return num;
}

/* Read them as one piece, as far as @buf goes, and close the gaps; what did not fit
 * is the last page's end.
 */
static struct gdump_error *read_run(const struct savevm *v, uint64_t pos, unsigned char *buf,
				    size_t num)
{
	const size_t size = v->m.page_size, all = num * size, gaps = (num - 1) * PAGE_HEADER;
	struct gdump_error *err = bytes_read(v->in, pos, buf, all);

	if (err)
		return err;
	for (size_t i = 1; i < num; i++) {
		const size_t from = i * (size + PAGE_HEADER);

		memmove(buf + i * size, buf + from, MIN(size, all - from));
	}
	return bytes_read(v->in, pos + all, buf + all - gaps, gaps);
}

static struct gdump_error *read_mapped(const struct savevm *v, uint32_t block, uint64_t off,
				       unsigned char *buf, size_t *len)
{
	const uint64_t size = v->m.page_size, n = off / size;
	const bool there = mapped_bit(v, block, n);
	uint64_t end = n + 1;

	while (end * size < off + *len && mapped_bit(v, block, end) == there)
		end++;
	*len = (size_t)MIN(*len, end * size - off);
	if (there)
		return bytes_read(v->in, v->m.blocks[block].pages_off + off, buf, *len);
	memset(buf, 0, *len);
	return NULL;
}

/* Some of [off, off + len) of a block; @len becomes how much. */
static struct gdump_error *read_some(const struct savevm *v, uint32_t block, uint64_t off,
				     unsigned char *buf, size_t *len)
{
	const size_t size = v->m.page_size, from = off % size;
	const uint64_t n = off / size;
	struct gdump_error *err;
	uint64_t entry;

	if (v->bitmaps[block])
		return read_mapped(v, block, off, buf, len);
	entry = page_index_at(&v->index, block, n);
	if (!from && *len >= size) {
		const size_t run = run_length(v, block, n, *len / size);

		if (run) {
			*len = run * size;
			return read_run(v, entry_value(entry), buf, run);
		}
	}
	*len = MIN(*len, size - from);
	err = read_part(v, entry, from, buf, *len);
	return err && gdump_error_code(err) == GDUMP_ERR_CORRUPT ?
		error_prefix(err, "offset 0x%" PRIx64 " of memory block '%s'", off,
			     v->m.blocks[block].name) : err;
}

/* The number of the first region that ends behind @paddr */
static size_t region_after(const struct savevm *v, uint64_t paddr)
{
	size_t lo = 0, hi = v->layout.num_regions;

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;
		const struct migration_region *r = &v->layout.regions[mid];

		if (r->paddr + (r->size - 1) < paddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct gdump_error *savevm_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct savevm *v = (struct savevm *)s;
	struct gdump_error *err = NULL;
	unsigned char *p = buf;

	/* one range may be several regions, without gaps */
	for (size_t i = region_after(v, paddr); !err && len;) {
		const struct migration_region *r = &v->layout.regions[i];
		size_t n = (size_t)MIN(len, r->size - (paddr - r->paddr));

		err = read_some(v, r->block, r->off + (paddr - r->paddr), p, &n);
		p += n, paddr += n, len -= n;
		if (paddr - r->paddr == r->size)
			i++;
	}
	return err;
}

static enum page_state state_at(const struct savevm *v, uint32_t block, uint64_t n)
{
	enum page_form form;

	if (v->bitmaps[block])
		return mapped_bit(v, block, n) ? PAGE_THERE : PAGE_HOLE;
	form = entry_form(page_index_at(&v->index, block, n));
	if (form == PAGE_NEVER)
		return v->source.image.incomplete ? PAGE_ABSENT : PAGE_HOLE;
	return form == PAGE_FILL && !entry_value(page_index_at(&v->index, block, n)) ? PAGE_HOLE
										     : PAGE_THERE;
}

/* The kernel's page may be several of QEMU's. */
static unsigned char page_state(const struct savevm *v, uint64_t paddr, uint64_t len)
{
	const size_t first = region_after(v, paddr);
	unsigned char state = PAGE_HOLE;

	for (size_t i = first; i < v->layout.num_regions; i++) {
		const struct migration_region *r = &v->layout.regions[i];
		const uint64_t begin = MAX(paddr, r->paddr);
		const uint64_t end = MIN(paddr + (len - 1), r->paddr + (r->size - 1));

		if (r->paddr > paddr + (len - 1))
			break;
		for (uint64_t n = (r->off + begin - r->paddr) / v->m.page_size;
		     n <= (r->off + end - r->paddr) / v->m.page_size; n++) {
			const enum page_state one = state_at(v, r->block, n);

			if (one == PAGE_ABSENT)
				return PAGE_ABSENT;
			if (one == PAGE_THERE)
				state = PAGE_THERE;
		}
	}
	return state;
}

/* How many pages from @paddr on are in memory that was never sent: a quick way over
 * it, since a stream may claim far more memory than it has.
 */
static uint64_t gap_at(const struct savevm *v, uint64_t paddr, uint64_t num)
{
	const uint32_t page_size = v->source.image.page_size;
	const size_t i = region_after(v, paddr);
	const struct migration_region *r = &v->layout.regions[i];
	uint64_t off, gap;

	if (i == v->layout.num_regions || r->paddr > paddr)
		return 0;
	off = r->off + (paddr - r->paddr);
	gap = page_index_gap(&v->index, r->block, off / v->m.page_size) * v->m.page_size;
	if (gap <= off % v->m.page_size)
		return 0;
	gap = MIN(gap - off % v->m.page_size, r->size - (paddr - r->paddr));
	return MIN(gap / page_size, num);
}

static struct gdump_error *savevm_scan(struct source *s, uint64_t pfn, size_t num,
				       unsigned char *state, bool holes)
{
	struct savevm *v = (struct savevm *)s;
	const uint32_t page_size = s->image.page_size;
	const int never = s->image.incomplete ? PAGE_ABSENT : PAGE_HOLE;

	(void)holes;                    /* they cost nothing */
	for (size_t i = 0; i < num;) {
		const uint64_t paddr = (pfn + i) * page_size;
		const size_t gap = (size_t)gap_at(v, paddr, num - i);

		if (gap)
			memset(state + i, never, gap);
		else
			state[i] = page_state(v, paddr, page_size);
		i += gap ? gap : 1;
	}
	return NULL;
}

static uint64_t savevm_gap(struct source *s, uint64_t pfn, uint64_t num, enum page_state *state)
{
	*state = s->image.incomplete ? PAGE_ABSENT : PAGE_HOLE;
	return gap_at((struct savevm *)s, pfn * s->image.page_size, num);
}

static void devices_drop(struct savevm *v)
{
	devices_deinit(&v->devices);
	free(v->early);
	free(v->late);
	v->early = v->late = NULL;
}

static void savevm_close(struct source *s)
{
	struct savevm *v = (struct savevm *)s;

	devices_drop(v);
	for (size_t i = 0; v->bitmaps && i < v->m.num_blocks; i++)
		free(v->bitmaps[i]);
	free(v->bitmaps);
	page_index_deinit(&v->index);
	migration_layout_deinit(&v->layout);
	migration_deinit(&v->m);
	bytes_close(v->in);
	free(v);
}

static const struct source_ops savevm_source_ops = {
	.has_absent = true,
	.read = savevm_read,
	.scan = savevm_scan,
	.gap = savevm_gap,
	.close = savevm_close,
};

/* Opening ----------------------------------------------------------------- */

struct file_reader {
	struct migration_reader reader;
	struct bytes *in;
	uint64_t pos;
};

static struct gdump_error *reader_read(struct migration_reader *r, void *buf, size_t len,
				       size_t *got)
{
	struct file_reader *f = (struct file_reader *)r;
	struct gdump_error *err;

	*got = f->pos < f->in->size ? (size_t)MIN(len, f->in->size - f->pos) : 0;
	err = bytes_read(f->in, f->pos, buf, *got);
	f->pos += *got;
	return err;
}

static struct gdump_error *reader_seek(struct migration_reader *r, uint64_t pos)
{
	struct file_reader *f = (struct file_reader *)r;

	f->pos = MIN(pos, f->in->size);
	return NULL;
}

static struct gdump_error *read_bitmap(struct savevm *v, uint32_t block)
{
	const struct migration_block *b = &v->m.blocks[block];
	const uint64_t size = div_up(b->size / v->m.page_size, 64) * 8;

	if (!range_fits(b->bitmap_off, size, v->in->size) ||
	    !range_fits(b->pages_off, b->size, v->in->size))
		return page_error(v, block, 0, "its pages are past the end of the file");
	v->bitmaps[block] = malloc(size);
	if (!v->bitmaps[block])
		return error_nomem();
	return bytes_read(v->in, b->bitmap_off, v->bitmaps[block], size);
}

static struct gdump_error *on_blocks(void *arg, const struct migration *m)
{
	struct savevm *v = arg;
	struct gdump_error *err = page_index_init(&v->index, m);

	v->big_longs = !strncmp(m->machine, "s390", 4);
	v->bitmaps = calloc(m->num_blocks, sizeof(*v->bitmaps));
	if (!err && !v->bitmaps)
		err = error_nomem();
	for (uint32_t i = 0; !err && i < m->num_blocks; i++) {
		if (m->blocks[i].pages_off)
			err = read_bitmap(v, i);
	}
	return err;
}

static struct gdump_error *on_page(void *arg, const struct migration_page *page)
{
	struct savevm *v = arg;

	return page_index_add(&v->index, page);
}

/* What makes it too much is left out: it is not needed for memory. */
static struct gdump_error *on_device(void *arg, uint64_t pos, uint64_t len)
{
	struct savevm *v = arg;
	unsigned char *early;

	if (len > MAX_EARLY_BYTES - v->early_len)
		return NULL;
	early = realloc(v->early, v->early_len + (size_t)len + SECTION_FOOTER_SIZE);
	if (!early)
		return error_nomem();
	v->early = early;
	early += v->early_len;
	v->early_len += (size_t)len + SECTION_FOOTER_SIZE;
	/* the footer as well, if there is one */
	memset(early + len, 0, SECTION_FOOTER_SIZE);
	return bytes_read(v->in, pos, early,
			  (size_t)MIN(len + SECTION_FOOTER_SIZE, v->in->size - pos));
}

static struct gdump_error *read_stream(struct savevm *v, uint64_t pos)
{
	const struct migration_events events = {
		.blocks = on_blocks, .page = on_page, .device = on_device, .arg = v,
	};
	struct file_reader f = {
		.reader = { .read = reader_read, .seek = reader_seek }, .in = v->in, .pos = pos,
	};

	v->m.page_size = v->devices.page_size;
	return migration_run(&v->m, &f.reader, pos, &events);
}

static struct gdump_error *describe(struct savevm *v, uint64_t pos)
{
	static const size_t sizes[] = { DESCRIPTION_FIRST, DESCRIPTION_MOST };
	const uint64_t have = v->in->size - MIN(pos, v->in->size);
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && !v->devices.desc && i < ARRAY_SIZE(sizes); i++) {
		const size_t len = (size_t)MIN(have, sizes[i]);
		CLEANUP_FREE unsigned char *buf = malloc(len + 1);

		if (i && len <= sizes[i - 1])
			break;
		if (!buf)
			return error_nomem();
		err = bytes_read(v->in, v->in->size - len, buf, len);
		if (!err)
			err = devices_describe(&v->devices, buf, len);
	}
	return err;
}

static struct gdump_error *read_devices(struct savevm *v)
{
	const uint64_t pos = migration_pos(&v->m);
	const uint64_t len = v->in->size - MIN(pos, v->in->size);
	struct gdump_error *err;

	if (!v->devices.desc || !v->m.ram_done || len > MAX_DEVICE_BYTES)
		return NULL;
	v->late = malloc((size_t)len + 1);
	if (!v->late)
		return error_nomem();
	err = bytes_read(v->in, pos, v->late, (size_t)len);
	if (!err)
		err = devices_parse(&v->devices, v->early, v->early_len);
	if (!err)
		err = devices_parse(&v->devices, v->late, (size_t)len);
	return err;
}

/* A shared memory backend's contents stay where they are, in its own file. */
static struct gdump_error *check_ignored(const struct savevm *v)
{
	for (size_t i = 0; v->m.ignore_shared && i < v->layout.num_regions; i++) {
		const uint32_t block = v->layout.regions[i].block;
		const uint64_t num = v->index.blocks[block].num_pages;
		uint64_t n = 0;

		while (n < num && (v->bitmaps[block] ? !mapped_bit(v, block, n)
						     : !page_index_at(&v->index, block, n)))
			n++;
		if (n == num)
			return error_new(GDUMP_ERR_UNSUPPORTED,
					 "memory block '%s' is not in the stream (x-ignore-shared): its contents are in the file of its memory backend",
					 v->m.blocks[block].name);
	}
	return NULL;
}

static struct gdump_error *add_memory(struct savevm *v)
{
	struct image *image = &v->source.image;
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < v->layout.num_regions; i++)
		err = image_add_range(image, v->layout.regions[i].paddr,
				      v->layout.regions[i].size, GDUMP_RANGE_RAM);
	return err;
}

static struct gdump_error *count_absent(struct savevm *v)
{
	struct image *image = &v->source.image;
	const uint32_t page_size = image->page_size;
	unsigned char state[512];
	struct gdump_error *err = NULL;

	for (size_t i = 0; image->incomplete && i < image->num_ranges; i++) {
		const struct gdump_range *r = &image->ranges[i];
		const uint64_t end = div_up(r->start + r->size, page_size);

		for (uint64_t pfn = r->start / page_size; !err && pfn < end; pfn += sizeof(state)) {
			const size_t num = (size_t)MIN(end - pfn, sizeof(state));

			err = savevm_scan(&v->source, pfn, num, state, true);
			for (size_t k = 0; !err && k < num; k++)
				image->num_absent += state[k] == PAGE_ABSENT;
		}
	}
	return err;
}

/* Numbers in notes and VMCOREINFO have the kernel's byte order. */
static bool is_big(const struct savevm *v)
{
	const struct device *cpu = devices_find(&v->devices, "cpu", 0);
	uint64_t msr = 0;

	if (v->layout.machine != EM_PPC64)
		return v->layout.machine == EM_S390;
	return cpu && device_number(cpu, "msr", &msr) && !(msr & 1);
}

static struct gdump_error *add_vmcoreinfo(struct savevm *v)
{
	const struct device *dev = devices_find(&v->devices, "vmcoreinfo", 0);
	uint64_t paddr = 0, has = 0;

	if (dev && device_number(dev, "has_vmcoreinfo", &has) && has)
		device_number(dev, "vmcoreinfo.paddr", &paddr);
	/* else gdump_open() looks for it, as with any other file */
	return paddr ? find_vmcoreinfo(&v->source, paddr) : NULL;
}

static void describe_image(struct savevm *v, const struct savevm_spec *spec)
{
	struct image *image = &v->source.image;
	const char *warning = v->layout.warning;

	snprintf(image->detail, sizeof(image->detail), "%s%s%.60s%s", spec->what,
		 v->m.machine[0] ? ", machine " : "", v->m.machine,
		 v->m.mapped_ram ? ", mapped-ram" : "");
	if (image->incomplete)
		warning = "the file ends before all memory was saved: pages are missing, and the registers";
	else if (!image->num_cpus && !warning)
		warning = "the registers of the CPUs are not in the file, or not understood";
	if (warning)
		snprintf(image->warning, sizeof(image->warning), "%s", warning);
}

static struct gdump_error *load(struct savevm *v, const struct savevm_spec *spec)
{
	struct image *image = &v->source.image;
	struct gdump_error *err = describe(v, spec->pos);

	if (!err)
		err = read_stream(v, spec->pos);
	if (!err)
		err = read_devices(v);
	if (!err)
		err = migration_layout_make(&v->layout, &v->m, &v->devices, &spec->hints);
	if (!err)
		err = check_ignored(v);
	if (err)
		return err;
	image->incomplete = !v->m.ram_done;
	image->machine = v->layout.machine;
	image->is64 = arch_by_machine(image->machine)->is64;
	image->big = is_big(v);
	err = add_memory(v);
	if (!err)
		err = cpus_add_notes(image, &v->devices);
	if (!err)
		err = image_seal(image);
	if (!err)
		err = add_vmcoreinfo(v);
	return err;
}

struct gdump_error *savevm_open_at(struct bytes *in, const struct savevm_spec *spec,
				   struct source **ret)
{
	struct savevm *v = calloc(1, sizeof(*v));
	CLEANUP_SOURCE struct source *guard = NULL;
	struct gdump_error *err;

	if (!v) {
		bytes_close(in);
		return error_nomem();
	}
	guard = &v->source;
	v->ops = savevm_source_ops;
	v->ops.name = spec->name;
	source_init(&v->source, &v->ops);
	v->in = in;
	err = load(v, spec);
	if (!err)
		err = count_absent(v);
	if (err)
		return err;
	describe_image(v, spec);
	devices_drop(v);
	free(v->m.buf);
	v->m.buf = NULL;
	guard = NULL;
	*ret = &v->source;
	return NULL;
}

static struct gdump_error *savevm_open(struct bytes *in, struct source **ret)
{
	const struct savevm_spec spec = { .name = "savevm", .what = "QEMU migration stream" };

	return savevm_open_at(in, &spec, ret);
}

const struct format format_savevm = {
	.name = "savevm",
	.summary = "a guest's state as QEMU saves or migrates it",
	.probe = savevm_probe,
	.open = savevm_open,
};
