/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mk_hyperv.c - saved states of Hyper-V
 *
 * Blocks of 1 MiB, which the ranges fill one after the other.  Options: packed (tokens instead of plain
 * blocks: pages are filled, plain or packed), reverse (the last range has the first blocks)
 */
#include "mkdump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 16384, KEYS_SIZE = 16384, BLOCK = 1 << 20 };

struct entry {
	const char *name;
	unsigned int type, parent;
	uint64_t off, size;             /* of its value, a file object          */
	unsigned char data[48];         /* or else its value                    */
};

struct packed {
	unsigned char buf[2 * UNIT];
	size_t len, flags_at;
	unsigned int num_flags;
	uint32_t flags;
	size_t half_at;
};

static void put_le(unsigned char *p, uint64_t v, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

static void add_flag(struct packed *p, unsigned int flag)
{
	p->flags = p->flags << 1 | flag;
	if (++p->num_flags < 32)
		return;
	put_le(p->buf + p->flags_at, p->flags, 4);
	p->flags_at = p->len;
	p->len += 4;
	p->num_flags = 0;
}

static void add(struct packed *p, uint64_t v, unsigned int n)
{
	put_le(p->buf + p->len, v, n);
	p->len += n;
}

/* The forms of a length: 3 bits, half a byte, a byte, two */
static void add_match(struct packed *p, size_t distance, size_t len)
{
	const size_t n = len - 3;

	add(p, (distance - 1) << 3 | (n < 7 ? n : 7), 2);
	if (n >= 7) {
		const unsigned int half = n - 7 < 15 ? (unsigned int)(n - 7) : 15;

		if (p->half_at) {
			p->buf[p->half_at] |= (unsigned char)(half << 4);
			p->half_at = 0;
		} else {
			p->half_at = p->len;
			add(p, half, 1);
		}
		if (n >= 7 + 15)
			add(p, n - 22 < 255 ? n - 22 : 255, 1);
		if (n >= 22 + 255)
			add(p, n, 2);
	}
}

static void pack(struct packed *p, const unsigned char *page)
{
	*p = (struct packed){ .len = 4 };
	for (size_t at = 0, n; at < UNIT; at += n) {
		const size_t distance = at >= 32 && page[at] == page[at - 32] ? 32 : 1;

		for (n = 0; at >= distance && at + n < UNIT && page[at + n] == page[at + n - distance];)
			n++;
		if (n < 3) {
			n = 1;
			add(p, page[at], 1);
			add_flag(p, 0);
		} else {
			add_match(p, distance, n);
			add_flag(p, 1);
		}
	}
	put_le(p->buf + p->flags_at, (uint64_t)p->flags << (32 - p->num_flags) |
	       (((uint64_t)1 << (32 - p->num_flags)) - 1), 4);
}

static bool is_filled(const unsigned char *page)
{
	return !memcmp(page, page + 8, UNIT - 8);
}

/* Tokens of a block; every second page that is filled is packed instead. */
static void put_tokens(struct out *o, const unsigned char *block, size_t size)
{
	struct packed p;
	size_t filled = 0;

	for (size_t at = 0; at < size; at += UNIT) {
		const unsigned char *page = block + at;
		size_t n = 1;

		pack(&p, page);
		if (is_filled(page) && filled++ % 2) {
			while (at + n * UNIT < size && !memcmp(page, page + n * UNIT, UNIT))
				n++;
			put(o, "token.fill", n > 1 ? 0xfffffffd : 0xfffffffe, 4);
			mark(o, "token.memory", o->len, 8);
			put_data(o, page, 8);
			if (n > 1)
				put(o, "token.pages", n, 4);
			at += (n - 1) * UNIT;
		} else if (p.len < UNIT) {
			put(o, "token.len", at % (2 * UNIT) ? p.len : 0xfffffffc, 4);
			if (!(at % (2 * UNIT))) {
				put(o, "token.out", UNIT, 4);
				put(o, "token.in", p.len, 4);
			}
			mark(o, "packed", o->len, 1);
			put_data(o, p.buf, p.len);
		} else {
			put(o, "token.plain", UNIT, 4);
			mark(o, "token.memory", o->len, UNIT);
			put_data(o, page, UNIT);
		}
	}
	put(o, "token.end", 0xffffffff, 4);
}

/* All blocks: memory of the ranges in the order of the blocks */
static size_t put_blocks(struct out *o, const struct desc *d, struct entry *entries)
{
	uint64_t size = 0, at = 0;
	unsigned char *all;
	size_t num = 0;

	for (size_t i = 0; i < d->num_ranges; i++)
		size += d->ranges[i].size;
	size = (size + BLOCK - 1) / BLOCK * BLOCK;
	all = calloc(1, size);
	if (!all)
		die("out of memory");
	for (size_t k = 0; k < d->num_ranges; k++) {
		const struct area *r = &d->ranges[option(d, "reverse") ? d->num_ranges - 1 - k : k];

		memory_get(d, r->start, all + at, r->size);
		at += r->size;
	}
	for (uint64_t b = 0; b < size; b += BLOCK, num++) {
		entries[num].off = o->len;
		mark(o, numbered("memory", num, ""), o->len, 0);
		if (option(d, "packed"))
			put_tokens(o, all + b, at - b < BLOCK ? at - b : BLOCK);
		else
			put_data(o, all + b, BLOCK);
		entries[num].size = o->len - entries[num].off;
	}
	free(all);
	return num;
}

static void put_entry(struct out *o, const struct entry *e, size_t i)
{
	const size_t name = strlen(e->name) + 1;
	const size_t data = e->type == 9 ? 0 : e->off ? 12 : 4 + sizeof(e->data);
	char field[64];

	snprintf(field, sizeof(field), "entry%zu.%.32s", i, e->name);
	put(o, field, e->type, 1);
	put(o, NULL, e->type == 7 && e->off, 1);
	put(o, NULL, 21 + name + data, 4);
	put(o, NULL, e->parent ? 1 : 0, 2);
	put(o, NULL, e->parent, 4);
	put(o, NULL, 0, 8);
	put(o, NULL, name, 1);
	put_data(o, e->name, name);
	if (e->type == 9)
		return;
	put(o, NULL, e->off ? e->size : sizeof(e->data), 4);
	if (e->off)
		put(o, NULL, e->off, 8);
	else
		put_data(o, e->data, sizeof(e->data));
}

static void put_keys(struct out *o, const struct desc *d, struct entry *blocks, size_t num)
{
	const struct entry saved = { .name = "savedstate", .type = 9 };
	uint64_t first = 0;

	put(o, "keys.signature", 2, 2);
	put(o, "keys.index", 1, 2);
	put(o, "keys.sequence", 7, 2);
	put(o, "keys.crc", 0, 4);
	put_entry(o, &saved, 0);
	for (size_t k = 0; k < d->num_ranges; k++) {
		const struct area *r = &d->ranges[option(d, "reverse") ? d->num_ranges - 1 - k : k];
		struct entry e = { .type = 7, .parent = 10 };
		char name[64];

		snprintf(name, sizeof(name), "RamMemoryBlock%zu", k);
		e.name = name;
		put_le(e.data, 3, 4);
		put_le(e.data + 8, r->size / UNIT, 8);
		put_le(e.data + 16, first, 8);
		put_le(e.data + 24, r->start / UNIT, 8);
		first += r->size / UNIT;
		put_entry(o, &e, 1 + k);
		mark(o, numbered("range", k, ".pfn"), o->len - 24, 8);
		mark(o, numbered("range", k, ".rest"), o->len - 16, 8);
	}
	for (size_t i = 0; i < num; i++) {
		char name[64];

		snprintf(name, sizeof(name), "RamBlock%zu", i);
		blocks[i].name = name;
		blocks[i].type = 7;
		blocks[i].parent = 10;
		put_entry(o, &blocks[i], 100 + i);
	}
	mark(o, "keys.end", o->len, 0);
}

static void put_headers(struct out *o)
{
	for (int i = 0; i < 2; i++) {
		pad_to(o, (size_t)i * 4096);
		put(o, i ? "header1" : "header0", 0x01282014, 4);
		put(o, NULL, 0, 4);
		put(o, NULL, (uint64_t)(5 + i), 2);
		put(o, NULL, 0x400, 4);
		put(o, NULL, 0, 4);
		put(o, NULL, 0, 4);
		put(o, NULL, 4096, 4);
	}
	pad_to(o, 8192);
	put(o, "objects.signature", 0x01110001, 4);
	put(o, "objects.num", 2, 4);
	put(o, "object0.type", 4, 1);
	pad_to(o, o->len + 17);
	put(o, "object1.type", 2, 1);
	put(o, "object1.crc", 0, 4);
	put(o, "object1.offset", KEYS, 8);
	put(o, "object1.size", KEYS_SIZE, 4);
	put(o, "object1.flags", 0, 1);
	mark(o, "objects.end", o->len, 0);
}

void make_hyperv(struct out *o, const struct desc *d)
{
	static struct entry blocks[64];
	struct out keys = { .big = d->big };
	size_t num;

	put_headers(o);
	pad_to(o, KEYS + KEYS_SIZE);
	num = put_blocks(o, d, blocks);
	put_keys(&keys, d, blocks, num);
	memcpy(o->buf + KEYS, keys.buf, keys.len);
	for (size_t i = 0; i < keys.num_fields; i++)
		mark(o, keys.fields[i].name, KEYS + keys.fields[i].off, keys.fields[i].size);
	free(keys.buf);
	free(keys.fields);
}
