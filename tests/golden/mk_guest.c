/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mk_guest.c - what others save of a guest: QEMU's migration stream, Windows' dump
 *
 * savevm   one block of RAM, "block NAME" for a machine of "qemu-machine NAME".  Zero
 *          pages are one byte.  A PC has a clock, with the sizes of the first range and of the
 *          others, which are at 4 GiB.  Options: twice (each page first with other contents),
 *          no-end (the RAM's last section and what follows are missing), mapped (each page has
 *          its place), no-clock, no-description
 * libvirt-save
 *          the same with XML in front; the ranges after the first are DIMMs
 * win-dmp  a full dump of 64-bit Windows, without anything of its kernel in memory; option
 *          bitmap: with a bitmap of its pages
 */
#include "mkdump.h"

#include <stdio.h>
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

static bool is_libvirt(const struct desc *d)
{
	return !strcmp(d->format, "libvirt-save");
}

/* The block of a range, and where in it the range begins */
static const char *block_of(const struct desc *d, size_t range)
{
	static char name[32];

	if (!range || !is_libvirt(d))
		return d->block;
	snprintf(name, sizeof(name), "memdimm%zu", range);
	return name;
}

static uint64_t offset_of(const struct desc *d, size_t range)
{
	return range && !is_libvirt(d) ? offset_of(d, range - 1) + d->ranges[range - 1].size : 0;
}

static uint64_t total_of(const struct desc *d)
{
	uint64_t total = 0;

	for (size_t i = 0; i < d->num_ranges; i++)
		total += d->ranges[i].size;
	return total;
}

/* The word in front of a page has its offset, and what follows in the low bits: 2 a zero page,
 * 8 the page; 0x20 says that the block is that of the page before.
 */
static void put_page(struct out *o, const char *block, uint64_t off, const unsigned char *page)
{
	const bool zero = is_zero_page(page);

	put(o, numbered("page", off / PAGE, ".word"), off | (zero ? 2 : 8) | (off ? 0x20 : 0), 8);
	if (!off)
		put_name(o, "page0.block", block, 1);
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
	for (size_t k = 0; k < d->num_ranges && !option(d, "mapped"); k++) {
		for (uint64_t off = 0; off < d->ranges[k].size; off += PAGE) {
			memory_get(d, d->ranges[k].start + off, page, PAGE);
			for (size_t i = 0; i < PAGE; i++)
				page[i] ^= change;
			put_page(o, block_of(d, k), offset_of(d, k) + off, page);
		}
	}
	put(o, change ? NULL : "pages.end", 0x10, 8);
	put(o, change ? NULL : "pages.footer", 0x7e, 1);
	put(o, NULL, 2, 4);
}

/* mapped-ram: a header, a bit for each page that is not zero, and room for all pages */
static void put_mapped(struct out *o, const struct desc *d)
{
	const uint64_t pages = total_of(d) / PAGE, bitmap = (pages + 63) / 64 * 8;
	unsigned char page[PAGE];
	size_t at, n = 0;

	put(o, "mapped.version", 1, 4);
	put(o, "mapped.page-size", PAGE, 8);
	put(o, "mapped.bitmap-offset", o->len + 16, 8);
	put(o, "mapped.pages-offset", (o->len + 8 + bitmap + PAGE - 1) / PAGE * PAGE, 8);
	at = o->len;
	mark(o, "mapped.bitmap", at, 0);
	pad_to(o, at + bitmap);
	mark(o, "mapped.pad", o->len, 0);
	pad_to(o, (o->len + PAGE - 1) / PAGE * PAGE);
	mark(o, "memory", o->len, 0);
	for (size_t i = 0; i < d->num_ranges; i++) {
		for (uint64_t off = 0; off < d->ranges[i].size; off += PAGE, n++) {
			memory_get(d, d->ranges[i].start + off, page, PAGE);
			if (!is_zero_page(page))
				o->buf[at + n / 8] |= (unsigned char)(1 << n % 8);
			put_data(o, page, PAGE);
		}
	}
}

static void put_blocks(struct out *o, const struct desc *d)
{
	put(o, "ram.total", total_of(d) | 4, 8);
	for (size_t i = 0; i < (is_libvirt(d) ? d->num_ranges : 1); i++) {
		put_name(o, numbered("block", i, ".len"), block_of(d, i), 1);
		put(o, numbered("block", i, ".size"),
		    is_libvirt(d) ? d->ranges[i].size : total_of(d), 8);
		if (option(d, "mapped"))
			put_mapped(o, d);
	}
}

/* The CMOS has the sizes of memory in bytes below 1 MiB, below 16 MiB, below 4 GiB, and above,
 * in units of 1, 1, 64 and 64 KiB.
 */
static void put_clock(struct out *o, const struct desc *d)
{
	const uint64_t M = 1 << 20, below = d->ranges[0].size, above = total_of(d) - below;
	const uint64_t base = below / 1024 < 640 ? below / 1024 : 640;
	const uint64_t low = below > M ? (below - M) / 1024 : 0;
	const uint64_t high = below > 16 * M ? (below - 16 * M) / 65536 : 0;
	unsigned char cmos[128] = { 0 };

	for (unsigned int i = 0; i < 2; i++) {
		cmos[0x15 + i] = (unsigned char)(base >> 8 * i);
		cmos[0x30 + i] = (unsigned char)((low < 65535 ? low : 65535) >> 8 * i);
		cmos[0x34 + i] = (unsigned char)(high >> 8 * i);
		cmos[0x5b + i] = (unsigned char)((is_libvirt(d) ? 0 : above / 65536) >> 8 * i);
	}
	put(o, "clock.type", 4, 1);                                     /* FULL */
	put(o, "clock.id", 9, 4);
	put_name(o, "clock.len", "mc146818rtc", 1);
	put(o, "clock.instance", 0, 4);
	put(o, "clock.version", 3, 4);
	mark(o, "clock.cmos", o->len, 0);
	put_data(o, cmos, sizeof(cmos));
	put(o, "clock.footer", 0x7e, 1);
	put(o, "clock.footer-id", 9, 4);
}

void make_savevm(struct out *o, const struct desc *d)
{
	static const char devices[] = "{\"page_size\":4096,\"devices\":["
		"{\"name\":\"mc146818rtc\",\"instance_id\":0,\"fields\":["
		"{\"name\":\"cmos_data\",\"size\":128}]}]}";

	o->big = true;
	put_data(o, "QEVM", 4);
	put(o, "version", 3, 4);
	put(o, "configuration", 7, 1);
	put_name(o, "configuration.len", d->qemu_machine, 4);
	if (option(d, "mapped")) {
		put(o, "capabilities", 5, 1);                           /* SUBSECTION */
		put_name(o, "capabilities.len", "configuration/capabilities", 1);
		put(o, "capabilities.version", 1, 4);
		put(o, "capabilities.num", 1, 4);
		put_name(o, "capability.len", "mapped-ram", 1);
	}
	put(o, "ram.type", 1, 1);                                       /* START */
	put(o, "ram.id", 2, 4);
	put_name(o, "ram.len", "ram", 1);
	put(o, "ram.instance", 0, 4);
	put(o, "ram.version", 4, 4);
	put_blocks(o, d);
	put(o, "ram.end", 0x10, 8);
	put(o, "ram.footer", 0x7e, 1);
	put(o, "ram.footer-id", 2, 4);
	if (option(d, "twice"))
		put_pages(o, d, 0x55);
	if (option(d, "no-end"))
		return;
	put_pages(o, d, 0);
	if (d->mach->elf == 62 && !option(d, "no-clock"))
		put_clock(o, d);
	put(o, "eof", 0, 1);
	if (option(d, "no-description"))
		return;
	put(o, "description", 6, 1);
	put_name(o, "description.len", devices, 4);
}

void make_libvirt(struct out *o, const struct desc *d)
{
	char xml[4096];
	int len = snprintf(xml, sizeof(xml),
			   "<domain><os><type machine='%s'>hvm</type></os><devices>", d->qemu_machine);

	for (size_t i = 1; i < d->num_ranges; i++)
		len += snprintf(xml + len, sizeof(xml) - (size_t)len,
				"<memory model='dimm'><alias name='dimm%zu'/><address base='0x%llx'/></memory>",
				i, (unsigned long long)d->ranges[i].start);
	len += snprintf(xml + len, sizeof(xml) - (size_t)len, "</devices></domain>") + 1;
	put_data(o, "LibvirtQemudSave", 16);
	put(o, "header.version", 2, 4);
	put(o, "header.len", (uint64_t)len, 4);
	mark(o, "header.rest", o->len, 0);
	pad_to(o, 92);
	mark(o, "xml", o->len, 0);
	put_data(o, xml, (size_t)len);
	make_savevm(o, d);
}

/* The second header, and a bit for each page */
static void put_win_bitmap(struct out *o, const struct desc *d, uint64_t pages)
{
	const struct area *last = &d->ranges[d->num_ranges - 1];
	const uint64_t bits = (last->start + last->size) / PAGE;
	size_t at;

	put_data(o, "FDMPDUMP", 8);
	pad_to(o, 0x2020);
	put(o, "bitmap.first_page", 0x3000, 8);
	put(o, "bitmap.pages", pages, 8);
	put(o, "bitmap.bits", bits, 8);
	at = o->len;
	mark(o, "bitmap", at, 0);
	pad_to(o, 0x3000);
	for (size_t i = 0; i < d->num_ranges; i++) {
		for (uint64_t n = d->ranges[i].start / PAGE;
		     n < (d->ranges[i].start + d->ranges[i].size) / PAGE; n++)
			o->buf[at + n / 8] |= (unsigned char)(1 << n % 8);
	}
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
	put(o, "dump_type", option(d, "bitmap") ? 5 : 1, 4);
	pad_to(o, 0xfa0);
	put(o, "file_size", (option(d, "bitmap") ? 0x3000 : 0x2000) + pages * PAGE, 8);
	pad_to(o, 0x2000);
	if (option(d, "bitmap"))
		put_win_bitmap(o, d, pages);
	for (size_t i = 0; i < d->num_ranges; i++) {
		const struct area *r = &d->ranges[i];
		unsigned char *buf = malloc(r->size);

		memory_get(d, r->start, buf, r->size);
		mark(o, numbered("memory", i, ""), o->len, 0);
		put_data(o, buf, r->size);
		free(buf);
	}
}
