/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mk_kdump.c - kdump-compressed files, header versions 1 to 6
 *
 * "codec" is none, zlib, lzo, snappy or zstd; exit status 77: not in this build.
 * Options: own-zero (zero pages have data of their own), no-uts (utsname is empty,
 * as QEMU leaves it), one-bitmap (bitmap 2 only, and it serves for both),
 * same-bitmaps (absent pages are not RAM either), padded (32-bit sub header with
 * 8-byte alignment), diskdump (the older signature), split (one that says that it is a part,
 * of all pages), no-second-part (it is not among the inputs), descending (page data from
 * the last page to the first), lost (absent pages have a descriptor that is 0), aligned (page
 * data begins at a block).
 */
#include "mkdump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#ifdef HAVE_LZO
#include <lzo/lzo1x.h>
#endif
#ifdef HAVE_SNAPPY
#include <snappy-c.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

enum { MAX_PAGE = 262144, ROOM = 2 * MAX_PAGE };

struct kdump {
	uint64_t sub_size, blocks, bitmap, desc, data;
	uint64_t num_pages, max_mapnr;
	uint64_t start, end;            /* pages whose data is in this file     */
};

/* Bytes in @dst, and the flag of the codec; 0: leave the page as it is. */
static size_t compress_page(const char *codec, unsigned char *dst, const unsigned char *src, size_t len,
		   uint32_t *flag)
{
	uLongf zlen = ROOM;

	if (!strcmp(codec, "none"))
		return 0;
	if (!strcmp(codec, "zlib")) {
		*flag = 1;
		return compress2(dst, &zlen, src, len, 6) == Z_OK ? zlen : 0;
	}
#ifdef HAVE_LZO
	if (!strcmp(codec, "lzo")) {
		static unsigned char work[LZO1X_1_MEM_COMPRESS];
		lzo_uint n = ROOM;

		*flag = 2;
		return lzo1x_1_compress(src, len, dst, &n, work) == LZO_E_OK ? n : 0;
	}
#endif
#ifdef HAVE_SNAPPY
	if (!strcmp(codec, "snappy")) {
		size_t n = ROOM;

		*flag = 4;
		return snappy_compress((const char *)src, len, (char *)dst, &n) == SNAPPY_OK ? n : 0;
	}
#endif
#ifdef HAVE_ZSTD
	if (!strcmp(codec, "zstd")) {
		*flag = 0x20;
		return ZSTD_compress(dst, ROOM, src, len, 1);
	}
#endif
	fprintf(stderr, "mkdump: no %s in this build\n", codec);
	exit(77);
}

static uint32_t codec_flag(const char *codec)
{
	return !strcmp(codec, "zlib") ? 1 : !strcmp(codec, "lzo") ? 2 :
	       !strcmp(codec, "snappy") ? 4 : !strcmp(codec, "zstd") ? 0x20 : 0;
}

static bool is_absent(const struct desc *d, uint64_t pfn)
{
	static unsigned char page[MAX_PAGE];

	return !memory_get(d, pfn * d->page, page, d->page);
}

static bool in_file(const struct desc *d, uint64_t pfn)
{
	return is_ram_page(d, pfn) && (option(d, "lost") || !is_absent(d, pfn));
}

static void put_word(struct out *o, const struct desc *d, const char *name, uint64_t value)
{
	put(o, name, value, d->is64 ? 8 : 4);
}

static void put_main(struct out *o, const struct desc *d, const struct kdump *k)
{
	const bool uts = !option(d, "no-uts");

	put_data(o, option(d, "diskdump") ? "DISKDUMP" : "KDUMP   ", 8);
	put(o, "header_version", d->kdump_version, 4);
	mark(o, "utsname", o->len, 0);
	put_text(o, uts ? "Linux" : "", 65);
	put_text(o, uts ? d->nodename : "", 65);
	put_text(o, uts ? d->release : "", 65);
	put_text(o, uts ? d->version : "", 65);
	put_text(o, uts ? d->mach->name : "", 65);
	put_text(o, uts ? "(none)" : "", 65);
	pad_to(o, d->is64 ? 408 : 404);
	put_word(o, d, "tv_sec", 1700000000);
	put_word(o, d, "tv_usec", 0);
	put(o, "status", d->status | codec_flag(d->codec), 4);
	put(o, "block_size", d->page, 4);
	put(o, "sub_hdr_size", (k->sub_size + d->page - 1) / d->page, 4);
	put(o, "bitmap_blocks", k->blocks, 4);
	put(o, "max_mapnr", k->max_mapnr, 4);
	pad_to(o, o->len + 16);
	put(o, "nr_cpus", (uint64_t)d->cpus, 4);
}

/* Where the 32-bit header aligns its 64-bit fields, if it does */
static void align(struct out *o, const struct desc *d)
{
	if (!d->is64 && option(d, "padded"))
		pad_to(o, o->len + 7 - (o->len + 7) % 8);
}

static void put_place(struct out *o, const struct desc *d, const char *what, uint64_t off,
		      uint64_t size)
{
	char name[32];

	align(o, d);
	snprintf(name, sizeof(name), "offset_%s", what);
	put(o, name, size ? off : 0, 8);
	snprintf(name, sizeof(name), "size_%s", what);
	put_word(o, d, name, size);
}

static bool is_part(const struct desc *d)
{
	return d->parts > 1 || option(d, "split");
}

/* Each version added fields at the end. */
static void put_sub(struct out *o, const struct desc *d, const struct kdump *k,
		    uint64_t notes, uint64_t vmcoreinfo)
{
	const uint32_t v = d->kdump_version;

	put_word(o, d, "phys_base", d->phys_base);
	put(o, "dump_level", d->level, 4);
	if (v >= 2) {
		put(o, "split", is_part(d), 4);
		put_word(o, d, "start_pfn", k->start);
		put_word(o, d, "end_pfn", is_part(d) ? k->end : 0);
	}
	if (v >= 3)
		put_place(o, d, "vmcoreinfo", vmcoreinfo, d->vmcoreinfo ? strlen(d->vmcoreinfo) : 0);
	if (v >= 4)
		put_place(o, d, "note", notes, notes_size(d));
	if (v >= 5)
		put_place(o, d, "eraseinfo", 0, 0);
	if (v >= 6) {
		align(o, d);
		put(o, "start_pfn_64", k->start, 8);
		put(o, "end_pfn_64", is_part(d) ? k->end : 0, 8);
		put(o, "max_mapnr_64", k->max_mapnr, 8);
	}
	align(o, d);
}

/* Behind the sub header: notes, or only VMCOREINFO, or what was never written */
static void put_rest(struct out *o, const struct desc *d, uint64_t *notes, uint64_t *vmcoreinfo)
{
	*notes = o->len;
	if (d->kdump_version >= 4) {
		*vmcoreinfo = notes_put(o, d);
	} else if (d->kdump_version == 3) {
		*vmcoreinfo = o->len;
		put_data(o, d->vmcoreinfo ? d->vmcoreinfo : "", d->vmcoreinfo ?
			 strlen(d->vmcoreinfo) : 0);
	} else {
		for (int i = 0; i < 80; i++)
			put(o, NULL, 0xee, 1);
	}
}

static void put_bitmaps(struct out *o, const struct desc *d, const struct kdump *k)
{
	const uint64_t half = k->blocks / (option(d, "one-bitmap") ? 1 : 2) * d->page;
	unsigned char *bits = calloc(2, half);

	for (uint64_t pfn = 0; pfn < k->max_mapnr; pfn++) {
		unsigned char bit = (unsigned char)(1 << pfn % 8);

		if (is_ram_page(d, pfn) && !(option(d, "same-bitmaps") && is_absent(d, pfn)))
			bits[pfn / 8] |= bit;
		if (in_file(d, pfn))
			bits[half + pfn / 8] |= bit;
	}
	mark(o, "bitmap1", o->len, 4);
	if (!option(d, "one-bitmap"))
		put_data(o, bits, half);
	mark(o, "bitmap2", o->len, 4);
	put_data(o, bits + half, half);
	free(bits);
}

static bool is_zero_page(const unsigned char *page, size_t len)
{
	while (len--) {
		if (*page++)
			return false;
	}
	return true;
}

/* The data of one page at the end of the file, and its descriptor */
static void put_page(struct out *o, const struct desc *d, const struct kdump *k, uint64_t pfn,
		     size_t i)
{
	static unsigned char page[MAX_PAGE], compressed[ROOM];
	struct out desc = { .big = d->big };
	const unsigned char *data = page;
	uint64_t off = o->len;
	uint32_t flag = 0;
	size_t n = 0;

	memory_get(d, pfn * d->page, page, d->page);
	if (option(d, "lost") && is_absent(d, pfn)) {
		return;                 /* the descriptor stays 0 */
	} else if (is_zero_page(page, d->page) && d->level & 1 && !option(d, "own-zero")) {
		off = k->data;
	} else {
		n = compress_page(d->codec, compressed, page, d->page, &flag);
		data = n && n < d->page ? compressed : page;
		flag = data == compressed ? flag : 0;
		n = data == compressed ? n : d->page;
		if (data == page)
			mark(o, "page.memory", o->len, d->page);
		put_data(o, data, n);
		if (data == page)
			mark(o, "data", o->len, 0);
	}
	put(&desc, NULL, off, 8);
	put(&desc, NULL, n ? n : d->page, 4);
	put(&desc, NULL, flag, 4);
	put(&desc, NULL, 0, 8);
	memcpy(o->buf + k->desc + 24 * i, desc.buf, 24);
	free(desc.buf);
}

static void put_pages(struct out *o, const struct desc *d, const struct kdump *k)
{
	static unsigned char zeros[MAX_PAGE];
	uint64_t *pfns = calloc(k->num_pages + 1, sizeof(*pfns));
	size_t num = 0;

	for (uint64_t pfn = k->start; pfn < k->end; pfn++) {
		if (in_file(d, pfn))
			pfns[num++] = pfn;
	}
	for (size_t i = 0; i < num; i++) {
		mark(o, numbered("desc", i, ".offset"), k->desc + 24 * i, 8);
		mark(o, numbered("desc", i, ".size"), k->desc + 24 * i + 8, 4);
		mark(o, numbered("desc", i, ".flags"), k->desc + 24 * i + 12, 4);
	}
	pad_to(o, k->data);
	mark(o, "data", o->len, 0);
	if (d->level & 1)
		put_data(o, zeros, d->page);
	for (size_t i = 0; i < num; i++) {
		size_t n = option(d, "descending") ? num - 1 - i : i;

		put_page(o, d, k, pfns[n], n);
	}
	free(pfns);
}

/* The sub header and what is behind it; its length */
static uint64_t put_head(struct out *o, const struct desc *d, const struct kdump *k,
			 uint64_t *notes, uint64_t *vmcoreinfo)
{
	o->len = o->num_fields = 0;
	put_main(o, d, k);
	pad_to(o, d->page);
	put_sub(o, d, k, *notes, *vmcoreinfo);
	mark(o, "notes", o->len, 0);
	put_rest(o, d, notes, vmcoreinfo);
	return o->len - d->page;
}

void make_kdump(struct out *o, const struct desc *d)
{
	uint64_t notes = 0, vmcoreinfo = 0, half;
	struct kdump k = { .max_mapnr = end_pfn(d) };

	for (uint64_t pfn = 0; pfn < k.max_mapnr; pfn++)
		k.num_pages += in_file(d, pfn);
	k.start = k.max_mapnr * d->part / d->parts;
	k.end = k.max_mapnr * (d->part + 1) / d->parts;
	half = ((k.max_mapnr + 7) / 8 + d->page - 1) / d->page;
	k.blocks = option(d, "one-bitmap") ? half : 2 * half;
	/* sizes and places are known after the first time */
	k.sub_size = put_head(o, d, &k, &notes, &vmcoreinfo);
	put_head(o, d, &k, &notes, &vmcoreinfo);
	pad_to(o, (1 + (k.sub_size + d->page - 1) / d->page) * d->page);
	put_bitmaps(o, d, &k);
	k.desc = o->len;
	k.data = k.desc + 24 * k.num_pages;
	if (option(d, "aligned"))
		k.data = (k.data + d->page - 1) / d->page * d->page;
	mark(o, "desc", k.desc, 0);
	put_pages(o, d, &k);
}
