/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mk_guest.c - what others save of a guest: QEMU's migration stream, Windows' dump
 *
 * savevm   one block of RAM, "block NAME" for a machine of "qemu-machine NAME".  Zero
 *          pages are one byte.  Options: twice (each page first with other contents),
 *          no-end (the RAM's last section and what follows are missing)
 * win-dmp  a full dump of 64-bit Windows, without anything of its kernel in memory
 */
#include "mkdump.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 };

static void put_name(struct out *o, const char *field, const char *name, unsigned int size)
{
	put(o, field, strlen(name), size);
	put_data(o, name, strlen(name));
}

static bool is_zero_page(const unsigned char *page)
{
	for (size_t i = 0; i < PAGE; i++) {
		if (page[i])
			return false;
	}
	return true;
}

/* The word in front of a page has its offset, and what follows in the low bits: 2 the byte
 * of which all is, 8 the page; 0x20 says that the block is that of the page before.
 */
static void put_page(struct out *o, const struct desc *d, uint64_t off, const unsigned char *page)
{
	const bool zero = is_zero_page(page);

	put(o, numbered("page", off / PAGE, ".word"), off | (zero ? 2 : 8) | (off ? 0x20 : 0), 8);
	if (!off)
		put_name(o, "page0.block", d->block, 1);
	if (zero)
		put(o, NULL, 0, 1);
	else
		put_data(o, page, PAGE);
}

static void put_pages(struct out *o, const struct desc *d, unsigned char change)
{
	unsigned char page[PAGE];

	put(o, change ? NULL : "pages.type", change ? 2 : 3, 1);        /* PART, END */
	put(o, NULL, 2, 4);
	for (uint64_t off = 0; off < d->ranges[0].size; off += PAGE) {
		memory_get(d, d->ranges[0].start + off, page, PAGE);
		for (size_t i = 0; i < PAGE; i++)
			page[i] ^= change;
		put_page(o, d, off, page);
	}
	put(o, change ? NULL : "pages.end", 0x10, 8);
	put(o, change ? NULL : "pages.footer", 0x7e, 1);
	put(o, NULL, 2, 4);
}

void make_savevm(struct out *o, const struct desc *d)
{
	static const char devices[] = "{\"page_size\":4096,\"devices\":[]}";

	o->big = true;
	put_data(o, "QEVM", 4);
	put(o, "version", 3, 4);
	put(o, "configuration", 7, 1);
	put_name(o, "configuration.len", d->qemu_machine, 4);
	put(o, "ram.type", 1, 1);                                       /* START */
	put(o, "ram.id", 2, 4);
	put_name(o, "ram.len", "ram", 1);
	put(o, "ram.instance", 0, 4);
	put(o, "ram.version", 4, 4);
	put(o, "ram.total", d->ranges[0].size | 4, 8);
	put_name(o, "block.len", d->block, 1);
	put(o, "block.size", d->ranges[0].size, 8);
	put(o, "ram.end", 0x10, 8);
	put(o, "ram.footer", 0x7e, 1);
	put(o, "ram.footer-id", 2, 4);
	if (option(d, "twice"))
		put_pages(o, d, 0x55);
	if (option(d, "no-end"))
		return;
	put_pages(o, d, 0);
	put(o, "eof", 0, 1);
	put(o, "description", 6, 1);
	put_name(o, "description.len", devices, 4);
}

void make_win(struct out *o, const struct desc *d)
{
	uint64_t pages = 0;

	put_data(o, "PAGEDU64", 8);
	put(o, NULL, 15, 4);
	put(o, NULL, 19041, 4);
	put(o, "cr3", 0x1aa000, 8);
	pad_to(o, 0x30);
	put(o, "machine", 0x8664, 4);
	put(o, "num_cpus", 2, 4);
	put(o, "bugcheck", 0xe2, 4);
	pad_to(o, 0x80);
	put(o, "kdbg", 0xfffff80000123000, 8);
	put(o, "num_runs", d->num_ranges, 4);
	pad_to(o, 0x90);
	for (size_t i = 0; i < d->num_ranges; i++)
		pages += d->ranges[i].size / PAGE;
	put(o, "num_pages", pages, 8);
	for (size_t i = 0; i < d->num_ranges; i++) {
		put(o, numbered("run", i, ".pfn"), d->ranges[i].start / PAGE, 8);
		put(o, numbered("run", i, ".num"), d->ranges[i].size / PAGE, 8);
	}
	pad_to(o, 0xf98);
	put(o, "dump_type", 1, 4);
	pad_to(o, 0xfa0);
	put(o, "file_size", 0x2000 + pages * PAGE, 8);
	pad_to(o, 0x2000);
	for (size_t i = 0; i < d->num_ranges; i++) {
		const struct area *r = &d->ranges[i];
		unsigned char *buf = malloc(r->size);

		memory_get(d, r->start, buf, r->size);
		mark(o, numbered("memory", i, ""), o->len, 0);
		put_data(o, buf, r->size);
		free(buf);
	}
}
