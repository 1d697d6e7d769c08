/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mk_memory.c - what a guest's memory holds, its notes, and what to expect of them
 */
#include "mkdump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static unsigned char byte_at(uint64_t addr, enum fill_kind fill)
{
	static uint64_t line_addr = 1;          /* of none yet */
	static char line[40];

	if (fill == FILL_ZERO || fill == FILL_ABSENT)
		return 0;
	if (fill == FILL_RANDOM)
		return (unsigned char)(mix(addr / 8 * 0x9e3779b97f4a7c15 + 1) >> 8 * (addr % 8));
	if (line_addr != (addr & ~(uint64_t)31)) {
		line_addr = addr & ~(uint64_t)31;
		snprintf(line, sizeof(line), "guest memory at %015llx\n",
			 (unsigned long long)line_addr);
	}
	return (unsigned char)line[addr % 32];
}

static bool in_area(const struct area *a, uint64_t addr)
{
	return addr - a->start < a->size && addr >= a->start;
}

static bool is_lost(const struct desc *d, uint64_t addr)
{
	for (size_t i = 0; i < d->num_lost; i++) {
		if (in_area(&d->lost[i], addr))
			return true;
	}
	return false;
}

static bool in_ranges(const struct desc *d, uint64_t addr)
{
	for (size_t i = 0; i < d->num_ranges; i++) {
		if (in_area(&d->ranges[i], addr))
			return true;
	}
	return false;
}

static enum fill_kind fill_at(const struct desc *d, uint64_t addr)
{
	enum fill_kind fill = FILL_TEXT;

	for (size_t i = 0; i < d->num_fills; i++) {
		if (in_area(&d->fills[i], addr))
			fill = d->fills[i].fill;
	}
	return fill;
}

bool memory_get(const struct desc *d, uint64_t addr, unsigned char *buf, size_t len)
{
	bool there = true;

	for (size_t i = 0; i < len; i += 32) {
		/* nothing changes within 32 bytes */
		const bool in = in_ranges(d, addr + i);
		const enum fill_kind fill = fill_at(d, addr + i);

		there &= fill != FILL_ABSENT;
		for (size_t k = i; k < i + 32 && k < len; k++)
			buf[k] = in ? byte_at(addr + k, fill) : 0;
	}
	return there;
}

bool is_ram_page(const struct desc *d, uint64_t pfn)
{
	for (size_t i = 0; i < d->num_ranges; i++) {
		const struct area *r = &d->ranges[i];

		if (r->start / d->page <= pfn && pfn <= (r->start + r->size - 1) / d->page)
			return true;
	}
	return false;
}

uint64_t end_pfn(const struct desc *d)
{
	uint64_t end = 0;

	for (size_t i = 0; i < d->num_ranges; i++) {
		uint64_t last = (d->ranges[i].start + d->ranges[i].size - 1) / d->page + 1;

		end = last > end ? last : end;
	}
	return end;
}

size_t notes_size(const struct desc *d)
{
	struct out o = { .big = d->big };

	notes_put(&o, d);
	free(o.buf);
	free(o.fields);
	return o.len;
}

size_t notes_put(struct out *o, const struct desc *d)
{
	const size_t base = o->len;
	size_t vmcoreinfo = 0;

	for (size_t i = 0; i < d->num_notes; i++) {
		const struct note *n = &d->notes[i];
		/* some write "CORE" without counting its end */
		size_t name = strlen(n->name) + !option(d, "short-names");

		put(o, numbered("note", i, ".namesz"), name, 4);
		put(o, numbered("note", i, ".descsz"), n->size, 4);
		put(o, numbered("note", i, ".type"), n->type, 4);
		put_text(o, n->name, name);
		pad_to(o, base + (o->len - base + 3) / 4 * 4);
		if (!strcmp(n->name, "VMCOREINFO"))
			vmcoreinfo = o->len;
		mark(o, numbered("note", i, ".desc"), o->len, 0);
		put_data(o, n->desc, n->size);
		if (i + 1 < d->num_notes || !option(d, "no-last-padding"))
			pad_to(o, base + (o->len - base + 3) / 4 * 4);
	}
	return vmcoreinfo;
}

static unsigned long long hash(const unsigned char *p, size_t len)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3;
	return h;
}

/* A page may be larger than the piece of it that is memory. */
static bool touches_range(const struct desc *d, uint64_t addr, size_t len)
{
	for (size_t i = 0; i < len; i += 32) {
		if (in_ranges(d, addr + i))
			return true;
	}
	return false;
}

static void print_pages(const struct desc *d)
{
	static unsigned char buf[UNIT], page[262144];
	static const unsigned char zeros[UNIT];

	for (uint64_t pfn = 0; pfn < end_pfn(d); pfn++) {
		bool there;

		if (!is_ram_page(d, pfn))
			continue;
		there = memory_get(d, pfn * d->page, page, d->page);
		for (uint64_t at = pfn * d->page; at < (pfn + 1) * d->page; at += UNIT) {
			memory_get(d, at, buf, UNIT);
			printf("memory 0x%llx ", (unsigned long long)at);
			if (!touches_range(d, at, UNIT))
				printf("outside\n");
			else if (!there || is_lost(d, at))
				printf("absent\n");
			else if (!memcmp(buf, zeros, UNIT))
				printf("zero\n");
			else
				printf("%016llx\n", hash(buf, UNIT));
		}
	}
}

static void print_registers(const struct desc *d)
{
	const unsigned int size = d->mach->is64 ? 8 : 4;

	for (size_t i = 0; d->mach->pc_name && i < d->num_notes; i++) {
		const struct note *n = &d->notes[i];
		uint64_t value = 0;

		if (strcmp(n->name, "CORE") || n->type != 1 || n->size != d->mach->prstatus)
			continue;
		for (unsigned int k = 0; k < size; k++)
			value |= (uint64_t)n->desc[d->mach->pc + (d->big ? size - 1 - k : k)] << 8 * k;
		printf("cpu %d %s 0x%llx\n", n->cpu, d->mach->pc_name, (unsigned long long)value);
	}
}

/* kdump has pages, and no kinds of memory. */
static void print_ranges(const struct desc *d)
{
	const bool pages = !strcmp(d->format, "kdump");

	for (size_t i = 0; i < d->num_ranges; i++) {
		const struct area *r = &d->ranges[i];
		uint64_t start = r->start, end = r->start + r->size;

		if (pages) {
			start -= start % d->page;
			end = (end + d->page - 1) / d->page * d->page;
		}
		printf("range 0x%llx 0x%llx %s\n", (unsigned long long)start,
		       (unsigned long long)(end - start), r->device && !pages ? "device" : "ram");
	}
}

/* Of a machine that is not told, or only by what wrote the file */
static void print_memory_only(const struct desc *d)
{
	const char *arch = *d->expect_arch ? d->expect_arch : "unknown";

	printf("arch %s %s %u\n", arch, d->big ? "big" : "little", d->is64 ? 64 : 32);
	printf("page %u\ncpus %d\nphys_base 0x0\n", d->page,
	       d->expect_cpus < 0 ? 0 : d->expect_cpus);
	if (d->expect_incomplete)
		printf("incomplete\n");
	print_ranges(d);
	/* Windows' header is a note, as in QEMU's ELF files */
	if (!strcmp(d->format, "win-dmp")) {
		struct out o = { 0 };

		make_win(&o, d);
		printf("note VMCOREINFO 0x0 -1 8192 %016llx\n", hash(o.buf, 8192));
		free(o.buf);
		free(o.fields);
	}
	print_pages(d);
}

void print_expected(const struct desc *d)
{
	const bool kdump = !strcmp(d->format, "kdump");
	const bool has_notes = !kdump || d->kdump_version >= 4;

	if (is_memory_only(d)) {
		print_memory_only(d);
		return;
	}
	printf("arch %s %s %u\n", *d->expect_arch ? d->expect_arch : d->mach->arch,
	       d->big ? "big" : "little", kdump ? (d->is64 ? 64 : 32) : d->mach->is64 ? 64 : 32);
	printf("page %u\n", d->page);
	printf("cpus %d\n", d->cpus);
	printf("phys_base 0x%llx\n", (unsigned long long)(d->has_phys_base ? d->expect_phys_base :
							   kdump ? d->phys_base : 0));
	if (*d->release)
		printf("release %s\n", d->release);
	if (*d->version && kdump)
		printf("version %s\n", d->version);
	if (d->expect_incomplete)
		printf("incomplete\n");
	print_ranges(d);
	for (size_t i = 0; i < d->num_notes; i++) {
		const struct note *n = &d->notes[i];

		if (has_notes || (d->kdump_version == 3 && !strcmp(n->name, "VMCOREINFO")))
			printf("note %s 0x%x %d %zu %016llx\n", n->name, n->type, n->cpu, n->size,
			       hash(n->desc, n->size));
	}
	if (d->vmcoreinfo && (!kdump || d->kdump_version >= 3))
		printf("vmcoreinfo %zu %016llx\n", strlen(d->vmcoreinfo),
		       hash((unsigned char *)d->vmcoreinfo, strlen(d->vmcoreinfo)));
	if (has_notes)
		print_registers(d);
	print_pages(d);
}
