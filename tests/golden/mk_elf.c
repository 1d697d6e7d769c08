/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mk_elf.c - ELF cores
 *
 * Options: phdrs-last (behind the memory), reverse (segments from the last to the
 * first), twice (each segment once more under a virtual address), ehsize-8 (as
 * QEMU writes it), xnum (number of program headers in a section header),
 * qemu-filter (p_offset of all ones where there is no data), entry-64 (program
 * headers with 8 more bytes), split-N (segments of N pages).
 */
#include "mkdump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seg {
	uint32_t type, flags;
	uint64_t off, vaddr, paddr, filesz, memsz;
};

struct elf {
	struct seg segs[4096];
	size_t num;
};

static bool is_absent(const struct desc *d, uint64_t addr)
{
	unsigned char buf[32];

	return !memory_get(d, addr, buf, sizeof(buf));
}

/* Cut a range where "absent" begins or ends, and every @max bytes. */
static void add_segs(struct elf *e, const struct desc *d, const struct area *r, uint64_t max)
{
	const uint64_t end = r->start + r->size;

	for (uint64_t at = r->start, next; at < end; at = next) {
		const bool absent = is_absent(d, at);
		struct seg *s = &e->segs[e->num++];

		next = at;
		while (next < end && next - at < max && is_absent(d, next) == absent)
			next += UNIT - next % UNIT;
		next = next > end ? end : next;
		*s = (struct seg){ .type = 1, .flags = r->device ? 4 : 7, .paddr = at,
				   .memsz = next - at, .filesz = absent ? 0 : next - at };
		s->vaddr = option(d, "no-vaddr") ? 0 : at;
	}
}

static void put_word(struct out *o, const struct desc *d, const char *name, uint64_t value)
{
	put(o, name, value, d->is64 ? 8 : 4);
}

static void put_phdrs(struct out *o, const struct desc *d, const struct elf *e)
{
	for (size_t i = 0; i < e->num; i++) {
		const struct seg *s = &e->segs[i];

		put(o, numbered("phdr", i, ".type"), s->type, 4);
		if (d->is64)
			put(o, numbered("phdr", i, ".flags"), s->flags, 4);
		put_word(o, d, numbered("phdr", i, ".offset"), s->off);
		put_word(o, d, numbered("phdr", i, ".vaddr"), s->vaddr);
		put_word(o, d, numbered("phdr", i, ".paddr"), s->paddr);
		put_word(o, d, numbered("phdr", i, ".filesz"), s->filesz);
		put_word(o, d, numbered("phdr", i, ".memsz"), s->memsz);
		if (!d->is64)
			put(o, numbered("phdr", i, ".flags"), s->flags, 4);
		put_word(o, d, numbered("phdr", i, ".align"), 0);
		if (option(d, "entry-64"))
			put(o, NULL, 0xeeeeeeeeeeeeeeee, 8);
	}
	/* section header 0 has the number of program headers */
	if (option(d, "xnum")) {
		pad_to(o, o->len + (d->is64 ? 44 : 28));
		put(o, "sh_info", e->num, 4);
		pad_to(o, o->len + (d->is64 ? 16 : 8));
	}
}

static void put_ehdr(struct out *o, const struct desc *d, const struct elf *e, uint64_t phoff)
{
	const size_t phdr = (d->is64 ? 56u : 32u) + (option(d, "entry-64") ? 8 : 0);
	const bool xnum = option(d, "xnum");

	put_data(o, "\177ELF", 4);
	put(o, "e_class", d->is64 ? 2 : 1, 1);
	put(o, "e_data", d->big ? 2 : 1, 1);
	put(o, NULL, 1, 1);
	pad_to(o, 16);
	put(o, "e_type", option(d, "executable") ? 2 : 4, 2);
	put(o, "e_machine", d->mach->elf, 2);
	put(o, "e_version", 1, 4);
	put_word(o, d, "e_entry", 0);
	put_word(o, d, "e_phoff", phoff);
	put_word(o, d, "e_shoff", xnum ? phoff + e->num * phdr : 0);
	put(o, "e_flags", d->status, 4);
	put(o, "e_ehsize", option(d, "ehsize-8") ? 8 : d->is64 ? 64 : 52, 2);
	put(o, "e_phentsize", phdr, 2);
	put(o, "e_phnum", xnum ? 0xffff : e->num, 2);
	put(o, "e_shentsize", d->is64 ? 64 : 40, 2);
	put(o, "e_shnum", xnum, 2);
	put(o, "e_shstrndx", 0, 2);
}

static void put_memory(struct out *o, const struct desc *d, struct elf *e)
{
	for (size_t i = 0; i < e->num; i++) {
		struct seg *s = &e->segs[i];
		unsigned char *buf;

		if (s->type != 1)
			continue;
		s->off = o->len;
		if (!s->filesz && option(d, "qemu-filter"))
			s->off = UINT64_MAX;
		if (!s->filesz)
			continue;
		mark(o, "load.memory", o->len, (unsigned int)s->filesz);
		mark(o, numbered("memory", i, ""), o->len, 0);
		buf = malloc(s->filesz);
		memory_get(d, s->paddr, buf, s->filesz);
		put_data(o, buf, s->filesz);
		free(buf);
	}
}

static void order(struct elf *e, const struct desc *d)
{
	for (size_t i = 1, k = e->num - 1; option(d, "reverse") && i < k; i++, k--) {
		struct seg s = e->segs[i];

		e->segs[i] = e->segs[k];
		e->segs[k] = s;
	}
}

static void build(struct out *o, const struct desc *d, struct elf *e, uint64_t phoff)
{
	const bool last = option(d, "phdrs-last");
	const size_t num = e->num;

	o->len = o->num_fields = 0;
	put_ehdr(o, d, e, phoff);
	if (!last)
		put_phdrs(o, d, e);
	e->segs[0].off = o->len;
	mark(o, "notes", o->len, 0);
	notes_put(o, d);
	e->segs[0].filesz = e->segs[0].memsz = o->len - e->segs[0].off;
	e->num = option(d, "twice") ? 1 + (num - 1) / 2 : num;
	put_memory(o, d, e);
	/* the same bytes once more, as the kernel's image */
	for (size_t i = 1; option(d, "twice") && i < e->num; i++) {
		e->segs[e->num + i - 1] = e->segs[i];
		e->segs[e->num + i - 1].vaddr = 0xffffffff80000000 + e->segs[i].paddr;
	}
	e->num = num;
	mark(o, "memory-end", o->len, 0);
	if (last)
		put_phdrs(o, d, e);
}

void make_elf(struct out *o, const struct desc *d)
{
	static struct elf e;
	const char *split = strstr(d->options, " split-");
	uint64_t max = split ? strtoull(split + 7, NULL, 10) * UNIT : UINT64_MAX;
	uint64_t phoff = d->is64 ? 64 : 52;

	e.segs[e.num++] = (struct seg){ .type = 4 };
	for (size_t i = 0; i < d->num_ranges; i++)
		add_segs(&e, d, &d->ranges[i], max);
	order(&e, d);
	if (option(d, "twice"))
		e.num += e.num - 1;
	/* offsets are known after the first time */
	build(o, d, &e, phoff);
	if (option(d, "phdrs-last")) {
		for (size_t i = 0; i < o->num_fields; i++) {
			if (!strcmp(o->fields[i].name, "memory-end"))
				phoff = o->fields[i].off;
		}
	}
	build(o, d, &e, phoff);
}
