/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mk_s390.c - stand-alone dumps of s390x
 *
 * There are no notes: the registers of CPU i are in memory, in its prefix pages at
 * (i + 1) * 8 KiB, and what a reader makes of them is what to expect.
 *
 * Options: extended (a segment for each run of pages that are not to be zero), compressed (these
 * say that they are), no-end (no end marker).
 */
#include "mkdump.h"

#include <stdlib.h>
#include <string.h>

enum { PREFIX_PAGES = 0x2000 };

static const struct {
	const char *name;
	uint32_t type;
	size_t size;
	struct { size_t note, saved, len; } regs[3];
} notes[] = {
	{ "CORE", 1, 336, { { 112, 0x1300, 16 }, { 128, 0x1280, 128 }, { 256, 0x1340, 64 } } },
	{ "CORE", 2, 136, { { 0, 0x131c, 4 }, { 8, 0x1200, 128 } } },
	{ "LINUX", 0x301, 8, { { 0, 0x1328, 8 } } },
	{ "LINUX", 0x302, 8, { { 0, 0x1330, 8 } } },
	{ "LINUX", 0x303, 4, { { 0, 0x1324, 4 } } },
	{ "LINUX", 0x304, 128, { { 0, 0x1380, 128 } } },
	{ "LINUX", 0x305, 4, { { 0, 0x1318, 4 } } },
};

void s390_notes(struct desc *d)
{
	for (int cpu = 0; cpu < d->cpus; cpu++) {
		for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
			struct note *n = &d->notes[d->num_notes++];
			unsigned char page[UNIT];

			*n = (struct note){ .type = notes[i].type, .size = notes[i].size, .cpu = cpu,
					    .desc = calloc(1, notes[i].size) };
			strcpy(n->name, notes[i].name);
			if (n->type == 1)
				n->desc[35] = (unsigned char)(cpu + 1);
			memory_get(d, (uint64_t)(cpu + 1) * PREFIX_PAGES + 0x1000, page, UNIT);
			for (size_t k = 0; k < 3; k++)
				memcpy(n->desc + notes[i].regs[k].note,
				       page + notes[i].regs[k].saved % UNIT, notes[i].regs[k].len);
		}
	}
}

static void put_header(struct out *o, const struct desc *d, uint64_t memory)
{
	put(o, NULL, option(d, "extended") ? 0xa8190173618f23fe : 0xa8190173618f23fd, 8);
	put(o, "version", 5, 4);
	put(o, "hdr_size", 4096, 4);
	put(o, "dump_level", 4, 4);
	put(o, "page_size", 4096, 4);
	put(o, "mem_size", memory, 8);
	put(o, "mem_start", 0, 8);
	put(o, "mem_end", memory - 1, 8);
	put(o, "num_pages", memory / 4096, 4);
	pad_to(o, 0x38);
	put(o, "tod", 0xd000000000000000, 8);
	put(o, "cpu_id", 0x123456, 8);
	put(o, "arch", 2, 4);
	put(o, "volnr", 0, 4);
	put(o, "build_arch", 2, 4);
	put(o, "mem_size_real", memory, 8);
	put(o, "mvdump", 0, 1);
	put(o, "cpu_cnt", (uint64_t)d->cpus, 2);
	put(o, "real_cpu_cnt", (uint64_t)d->cpus, 2);
	pad_to(o, 0x800);
	for (int i = 0; i < d->cpus; i++)
		put(o, numbered("prefix", (size_t)i, ""), (uint64_t)(i + 1) * PREFIX_PAGES, 4);
	pad_to(o, 4096);
}

static void put_pages(struct out *o, const struct desc *d, uint64_t start, uint64_t end)
{
	for (uint64_t addr = start; addr < end; addr += UNIT) {
		unsigned char page[UNIT];

		memory_get(d, addr, page, UNIT);
		put_data(o, page, UNIT);
	}
}

static bool is_zero(const struct desc *d, uint64_t addr)
{
	static const unsigned char zeros[UNIT];
	unsigned char page[UNIT];

	memory_get(d, addr, page, UNIT);
	return !memcmp(page, zeros, UNIT);
}

static void put_segments(struct out *o, const struct desc *d, uint64_t memory)
{
	uint64_t end, next = 0;
	size_t i = 0;

	while (next < memory && is_zero(d, next))
		next += UNIT;
	for (uint64_t start = next; start < memory; start = next) {
		for (end = start; end < memory && !is_zero(d, end); end += UNIT)
			;
		for (next = end; next < memory && is_zero(d, next); next += UNIT)
			;
		mark(o, numbered("segment", i, ""), o->len, 0);
		put(o, numbered("segment", i, ".start"), start, 8);
		put(o, numbered("segment", i, ".len"), end - start, 8);
		put(o, numbered("segment", i, ".stop"), next == memory, 8);
		put(o, numbered("segment", i++, ".size_on_disk"), option(d, "compressed"), 4);
		pad_to(o, o->len + UNIT - 28);
		put_pages(o, d, start, end);
	}
}

void make_s390(struct out *o, const struct desc *d)
{
	const uint64_t memory = end_pfn(d) * UNIT;

	put_header(o, d, memory);
	mark(o, "memory", o->len, 0);
	if (option(d, "extended"))
		put_segments(o, d, memory);
	else
		put_pages(o, d, 0, memory);
	if (option(d, "no-end"))
		return;
	mark(o, "end_mark", o->len, 8);
	put_text(o, "DUMP_END", 8);
	put(o, "end_tod", 0xd000000000000000, 8);
}
