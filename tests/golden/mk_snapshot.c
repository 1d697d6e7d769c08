/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mk_snapshot.c - snapshots of other hypervisors
 *
 * firecracker       a state file, and "memory" with all ranges.  Options: bitcode (no version and
 *                   no size at the beginning of the state)
 * cloud-hypervisor  state.json, and "memory-ranges".  Options: reverse (the last range first), zone
 *                   (the last range is in a file of its own, "zone.mem"), old (as before version 39)
 * vmware            a state, and "dump.vmem".  Options: embedded (memory in the state), flat (no list
 *                   of regions), old (lengths of 4 bytes)
 * xen-core          an ELF file with sections.  Options: pv (a paravirtualized guest)
 */
#include "mkdump.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The memory of some ranges, in their order or the other way round */
static void put_ranges(struct out *o, const struct desc *d, size_t first, size_t num)
{
	for (size_t k = 0; k < num; k++) {
		const size_t i = option(d, "reverse") ? first + num - 1 - k : first + k;
		const struct area *r = &d->ranges[i];
		unsigned char *buf = malloc(r->size);

		if (!buf)
			die("out of memory");
		memory_get(d, r->start, buf, r->size);
		put_data(o, buf, r->size);
		free(buf);
	}
}

static void companion_of_ranges(const struct desc *d, const char *name, size_t first, size_t num,
				bool passed)
{
	struct out o = { 0 };

	put_ranges(&o, d, first, num);
	put_companion(name, o.buf, o.len, passed);
	free(o.buf);
}

static uint64_t total_size(const struct desc *d)
{
	uint64_t size = 0;

	for (size_t i = 0; i < d->num_ranges; i++)
		size += d->ranges[i].size;
	return size;
}

/* CRC-64 of Jones by its definition, bit by bit, most significant bit first */
static uint64_t reflect(uint64_t v, int bits)
{
	uint64_t r = 0;

	for (int i = 0; i < bits; i++)
		r |= (v >> i & 1) << (bits - 1 - i);
	return r;
}

static uint64_t crc64(const unsigned char *p, size_t len)
{
	uint64_t crc = 0;

	while (len--) {
		crc ^= reflect(*p++, 8) << 56;
		for (int bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc >> 63 ? 0xad93d23594c935a9 : 0);
	}
	return reflect(crc, 64);
}

void make_firecracker(struct out *o, const struct desc *d)
{
	const uint64_t magic = d->mach->elf == 183 ? 0x07101984aaaa0000 : 0x0710198486640000;

	if (option(d, "bitcode")) {
		put(o, "prefix", 0x0102, 2);
		put(o, "magic", magic, 8);
	} else {
		put(o, "magic", magic, 8);
		put(o, "version.len", 5, 8);
		mark(o, "version", o->len, 5);
		put_data(o, "6.0.0", 5);
		put(o, "mem_size_mib", total_size(d) >> 20, 8);
	}
	mark(o, "state", o->len, 0);
	for (int i = 0; i < 700; i++)
		put(o, NULL, (uint64_t)(i * 7 + 3), 1);
	put(o, "crc", crc64(o->buf, o->len), 8);
	companion_of_ranges(d, "memory", 0, d->num_ranges, true);
}

static void put_format(struct out *o, const char *field, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (field)
		mark(o, field, o->len, (unsigned int)strlen(text));
	put_data(o, text, strlen(text));
}

/* In a string, so quotes are escaped */
static void put_ranges_json(struct out *o, const struct desc *d, size_t num)
{
	put_format(o, "ranges", "{\\\"memory_ranges\\\":{\\\"data\\\":[");
	for (size_t k = 0; k < num; k++) {
		const struct area *r = &d->ranges[option(d, "reverse") ? num - 1 - k : k];

		put_format(o, NULL, "%s{\\\"gpa\\\":%" PRIu64 ",\\\"length\\\":%" PRIu64 "}", k ? "," : "",
			   r->start, r->size);
	}
	put_format(o, "mappings", "]},\\\"guest_ram_mappings\\\":[");
	for (size_t i = 0; i < d->num_ranges; i++)
		put_format(o, NULL, "%s{\\\"slot\\\":%zu,\\\"gpa\\\":%" PRIu64 ",\\\"size\\\":%" PRIu64
			   ",\\\"zone_id\\\":\\\"%s\\\",\\\"virtio_mem\\\":false,\\\"file_offset\\\":0}",
			   i ? "," : "", i, d->ranges[i].start, d->ranges[i].size,
			   i >= num ? "zone" : "mem0");
	put_format(o, NULL, "],\\\"boot_ram\\\":%" PRIu64 "}", total_size(d));
}

void make_cloud_hypervisor(struct out *o, const struct desc *d)
{
	static const char config[] = "{\"memory\":{\"size\":0,\"zones\":[{\"id\":\"zone\",\"size\":1,"
				     "\"file\":\"/dev/shm/zone.mem\",\"shared\":true}]}}";
	const size_t num = d->num_ranges - option(d, "zone");

	put_format(o, "start", "{\"snapshots\":{\"memory-manager\":{\"snapshots\":{},\"snapshot_data\":");
	if (option(d, "old")) {
		put_format(o, NULL, "[1,2,3]}}}");
		return;
	}
	put_format(o, "data", "{\"state\":\"");
	put_ranges_json(o, d, num);
	put_format(o, "cpus", "\"}},\"cpu-manager\":{\"snapshots\":{},\"snapshot_data\":null}},"
		   "\"snapshot_data\":{\"state\":\"{}\"}}\n");
	companion_of_ranges(d, "memory-ranges", 0, num, false);
	put_companion("config.json", config, strlen(config), false);
	if (option(d, "zone"))
		companion_of_ranges(d, "zone.mem", num, 1, true);
}

static void put_tag(struct out *o, const char *name, unsigned int indices, unsigned int size, size_t i)
{
	char field[64];

	put(o, NULL, (uint64_t)strlen(name) << 8 | indices << 6 | size, 2);
	put_data(o, name, strlen(name));
	if (indices)
		put(o, numbered("index", i, ""), i, 4);
	snprintf(field, sizeof(field), "%s%zu", name, i);
	if (size == 4)
		mark(o, field, o->len, 4);
}

static void put_region(struct out *o, const struct desc *d, size_t i, uint64_t page)
{
	const struct area *r = &d->ranges[i];

	put_tag(o, "regionPageNum", 1, 4, i);
	put(o, NULL, page, 4);
	put_tag(o, "regionPPN", 1, 4, i);
	put(o, NULL, r->start / 4096, 4);
	put_tag(o, "regionSize", 1, 4, i);
	put(o, NULL, r->size / 4096, 4);
}

static void put_memory_block(struct out *o, const struct desc *d)
{
	const unsigned int length = option(d, "old") ? 4 : 8;

	put_tag(o, "Memory", 0, 63, 0);
	put(o, "block.bytes", total_size(d), length);
	put(o, "block.size", total_size(d), length);
	put(o, "block.padding", 16, 2);
	pad_to(o, o->len + 16);
	mark(o, "memory", o->len, 0);
	put_ranges(o, d, 0, d->num_ranges);
}

void make_vmware(struct out *o, const struct desc *d)
{
	const size_t num_regions = option(d, "flat") ? 0 : d->num_ranges;
	uint64_t page = 0;

	put(o, "magic", option(d, "old") ? 0xbed2bed0 : 0xbed2bed2, 4);
	put(o, "version", 8, 4);
	put(o, "groups", 2, 4);
	put_text(o, "Checkpoint", 64);
	put(o, NULL, 12, 8);
	put(o, NULL, 0, 8);
	mark(o, "group.name", o->len, 64);
	put_text(o, "memory", 64);
	put(o, "group.pos", 172, 8);
	put(o, "group.size", 0, 8);
	mark(o, "tags", o->len, 0);
	put_tag(o, "align_mask", 1, 4, 0);
	put(o, NULL, 0xffff, 4);
	put_tag(o, "regionsCount", 0, 4, 0);
	put(o, "regionsCount", num_regions, 4);
	for (size_t i = 0; i < num_regions; i++) {
		put_region(o, d, i, page);
		page += d->ranges[i].size / 4096;
	}
	if (option(d, "embedded"))
		put_memory_block(o, d);
	else
		companion_of_ranges(d, "dump.vmem", 0, d->num_ranges, false);
	put(o, "end", 0, 2);
	for (int i = 0; i < 8; i++)
		o->buf[164 + i] = (unsigned char)((o->len - 172) >> 8 * i);
}

static void put_xen_note(struct out *o, uint32_t type, const uint64_t *values, size_t num)
{
	put(o, "note.namesz", 4, 4);
	put(o, "note.descsz", num * 8, 4);
	put(o, "note.type", type, 4);
	put_data(o, "Xen", 4);
	for (size_t i = 0; i < num; i++)
		put(o, numbered("note.value", i, ""), values[i], 8);
}

/* Header, 5 section headers with the null one, notes of 16, 48 and 24 bytes, names, numbers, pages */
void make_xen_core(struct out *o, const struct desc *d)
{
	static const char names[64] = "\0.note.Xen\0.xen_pfn\0.xen_pages\0.shstrtab";
	const uint64_t num = total_size(d) / 4096, notes_at = 64 + 5 * 64, names_at = notes_at + 88;
	const uint64_t pfn_at = names_at + sizeof(names), pages_at = (pfn_at + num * 8 + 4095) / 4096 * 4096;
	const uint64_t header[] = { option(d, "pv") ? 0xf00febed : 0xf00febee, 0, num, 4096 };
	const uint64_t version[] = { 1 };

	put_data(o, "\177ELF\2\1\1", 7);
	pad_to(o, 16);
	put(o, "e_type", 4, 2);
	put(o, "e_machine", d->mach->elf, 2);
	put(o, NULL, 1, 4);
	put(o, NULL, 0, 8);
	put(o, "e_phoff", 0, 8);
	put(o, "e_shoff", 64, 8);
	put(o, NULL, 0, 4);
	put(o, NULL, 64, 2);
	put(o, "e_phentsize", 56, 2);
	put(o, "e_phnum", 0, 2);
	put(o, "e_shentsize", 64, 2);
	put(o, "e_shnum", 5, 2);
	put(o, "e_shstrndx", 4, 2);
	pad_to(o, 128);
	for (int i = 0; i < 4; i++) {
		static const char *const list[] = { ".note.Xen", ".xen_pfn", ".xen_pages", ".shstrtab" };
		const uint64_t offs[] = { notes_at, pfn_at, pages_at, names_at };
		const uint64_t sizes[] = { 88, num * 8, num * 4096, sizeof(names) };
		const char *name = names;

		while (strncmp(name, list[i], strlen(list[i])))
			name++;
		put(o, NULL, (uint64_t)(name - names), 4);
		put(o, NULL, 1, 4);
		put(o, NULL, 0, 8);
		put(o, NULL, 0, 8);
		put(o, numbered("section", (size_t)i, ".offset"), offs[i], 8);
		put(o, numbered("section", (size_t)i, ".size"), sizes[i], 8);
		put(o, NULL, 0, 8);
		put(o, NULL, 1, 8);
		put(o, numbered("section", (size_t)i, ".entry"), 8, 8);
	}
	put_xen_note(o, 0x2000000, NULL, 0);
	put_xen_note(o, 0x2000001, header, 4);
	put_xen_note(o, 0x2000003, version, 1);
	mark(o, "names", o->len, sizeof(names));
	put_data(o, names, sizeof(names));
	mark(o, "pfn", o->len, 8);
	for (size_t i = 0; i < d->num_ranges; i++) {
		for (uint64_t at = 0; at < d->ranges[i].size; at += 4096)
			put(o, NULL, (d->ranges[i].start + at) / 4096, 8);
	}
	pad_to(o, pages_at);
	mark(o, "memory", o->len, 0);
	put_ranges(o, d, 0, d->num_ranges);
}
