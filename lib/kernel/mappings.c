/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kernel/mappings.c - walk page tables from their roots
 *
 * A table is visited once per level, however many entries point to it.  So a walk ends
 * even if tables point in a circle, or a million times to one page, as in Linux's espfix
 * area; such a page is reported once.  Processes share the kernel's tables, which are
 * therefore walked only once as well.
 */
#include "mappings.h"

#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"

enum {
	MAX_MAPS = 1 << 20, MAX_TABLES = 1 << 22, MAX_TABLE = 1 << 17, MIN_ROOM = 1 << 10,
	MAX_OFFSETS = 64,
};

static const uint64_t direct_map_align = (uint64_t)1 << 30;

struct walk {
	struct source *source;
	const struct paging *paging;
	struct mappings *out;
	uint64_t *seen;                 /* hash set of paddr + levels - level; 0: empty */
	size_t num_seen, seen_room;     /* a power of two                       */
	unsigned char *table[PAGING_MAX_LEVELS];
};

static size_t mappings_seen_index(const uint64_t *seen, size_t room, uint64_t key)
{
	size_t i = (size_t)(key * 0x9e3779b97f4a7c15 >> 20) & (room - 1);

	while (seen[i] && seen[i] != key)
		i = (i + 1) & (room - 1);
	return i;
}

static struct gdump_error *mappings_grow_seen(struct walk *w)
{
	const size_t room = MAX(2 * w->seen_room, MIN_ROOM);
	uint64_t *seen = calloc(room, sizeof(*seen));

	if (!seen)
		return error_nomem();
	for (size_t i = 0; i < w->seen_room; i++) {
		if (w->seen[i])
			seen[mappings_seen_index(seen, room, w->seen[i])] = w->seen[i];
	}
	free(w->seen);
	w->seen = seen;
	w->seen_room = room;
	return NULL;
}

/* Mark a table as visited at this level.  @again: it was visited before, or too many were.
 * The key is never 0, and unique, because tables are aligned to more than PAGING_MAX_LEVELS.
 */
static struct gdump_error *mappings_visit(struct walk *w, uint64_t paddr, unsigned int level,
					  bool *again)
{
	const uint64_t key = paddr + (w->paging->levels - level);
	struct gdump_error *err = NULL;
	size_t i;

	if (2 * w->num_seen >= w->seen_room)
		err = mappings_grow_seen(w);
	if (err)
		return err;
	i = mappings_seen_index(w->seen, w->seen_room, key);
	*again = w->seen[i] == key || w->num_seen >= MAX_TABLES;
	w->num_seen += !*again;
	if (!*again)
		w->seen[i] = key;
	return NULL;
}

static struct gdump_error *mappings_add(struct walk *w, uint64_t vaddr, uint64_t paddr,
					uint64_t size)
{
	struct mappings *m = w->out;
	struct mapping *last = m->num ? &m->maps[m->num - 1] : NULL;

	if (last && last->vaddr + last->size == vaddr && last->paddr + last->size == paddr) {
		last->size += size;
		return NULL;
	}
	if (m->num == MAX_MAPS)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the page tables have more than %d mappings", MAX_MAPS);
	if (!ARRAY_GROW(m->maps, m->num))
		return error_nomem();
	m->maps[m->num++] = (struct mapping){ vaddr, paddr, size };
	return NULL;
}

/* The canonical form of an address */
static uint64_t mappings_full_vaddr(const struct paging *p, uint64_t vaddr)
{
	const unsigned int bits = p->shift[0] + p->bits[0];

	if (p->sign && bits < 64 && vaddr >> (bits - 1) & 1)
		vaddr |= ~(uint64_t)0 << bits;
	return vaddr | p->high;
}

static struct gdump_error *mappings_walk_table(struct walk *w, unsigned int level, uint64_t paddr,
					       uint64_t vaddr);

/* Follow an entry of a table of @level; it translates @vaddr. */
static struct gdump_error *mappings_walk_entry(struct walk *w, unsigned int level, uint64_t entry,
					       uint64_t vaddr)
{
	const struct paging *p = w->paging;
	const uint64_t size = (uint64_t)1 << p->shift[level];
	uint64_t paddr = 0;

	switch (p->entry(p, level, entry, &paddr)) {
	case ENTRY_NONE:
		break;
	case ENTRY_TABLE:
		if (level + 1 < p->levels)
			return mappings_walk_table(w, level + 1, paddr, vaddr);
		break;
	case ENTRY_PAGE:
		return mappings_add(w, mappings_full_vaddr(p, vaddr), round_down(paddr, size),
				    size);
	}
	return NULL;
}

static struct gdump_error *mappings_walk_table(struct walk *w, unsigned int level, uint64_t paddr,
					       uint64_t vaddr)
{
	const struct paging *p = w->paging;
	const size_t num = (size_t)1 << p->bits[level], size = num * p->entry_size;
	struct gdump_error *err;
	struct cursor c;
	bool again;

	if (size > MAX_TABLE)
		return NULL;
	err = mappings_visit(w, paddr, level, &again);
	if (err || again)
		return err;
	err = source_read(w->source, paddr, w->table[level], size);
	if (err) {
		w->out->num_outside++;          /* it maps nothing                      */
		gdump_error_destroy(err);
		return NULL;
	}
	c = cursor_init(w->table[level], size, p->big, true);
	for (size_t i = 0; !err && i < num; i++) {
		const uint64_t entry = get_uint(&c, p->entry_size);

		if (entry)
			err = mappings_walk_entry(w, level, entry,
						  vaddr + ((uint64_t)i << p->shift[level]));
	}
	return err;
}

static int mappings_compare(const void *a, const void *b)
{
	const struct mapping *x = a, *y = b;

	if (x->vaddr != y->vaddr)
		return x->vaddr > y->vaddr ? 1 : -1;
	return (x->paddr > y->paddr) - (x->paddr < y->paddr);
}

static void mappings_merge(struct mappings *m)
{
	size_t n = 0;

	if (m->num)
		qsort(m->maps, m->num, sizeof(*m->maps), mappings_compare);
	for (size_t i = 0; i < m->num; i++) {
		const struct mapping x = m->maps[i];
		struct mapping *last = n ? &m->maps[n - 1] : NULL;

		if (last && last->vaddr + last->size == x.vaddr &&
		    last->paddr + last->size == x.paddr)
			last->size += x.size;
		else if (!last || memcmp(last, &x, sizeof(x)))
			m->maps[n++] = x;
	}
	m->num = n;
}

static struct gdump_error *mappings_walk_root(struct walk *w, const struct paging *p)
{
	w->paging = p;
	return p->levels ? mappings_walk_table(w, 0, p->root, 0) : NULL;
}

/* Those of the kernel, if they can be found */
static struct gdump_error *mappings_walk_kernel(struct walk *w, struct source *s)
{
	CLEANUP_ERROR struct gdump_error *why = NULL;
	struct gdump_error *err;
	struct paging p;

	why = paging_of_kernel(s, &p);
	if (why)
		return NULL;
	err = mappings_walk_root(w, &p);
	paging_deinit(&p);
	return err;
}

struct gdump_error *mappings_find(struct source *s, struct mappings *ret)
{
	const struct image *image = &s->image;
	struct walk w = { .source = s, .out = ret };
	struct gdump_error *err = NULL;
	struct paging p;

	*ret = (struct mappings){ 0 };
	for (unsigned int i = 0; !err && i < PAGING_MAX_LEVELS; i++) {
		w.table[i] = malloc(MAX_TABLE);
		if (!w.table[i])
			err = error_nomem();
	}
	if (!err)
		err = mappings_walk_kernel(&w, s);
	for (size_t cpu = 0; !err && cpu < image->num_cpus_with_notes; cpu++) {
		if (paging_of_cpu(s, cpu, &p))
			err = mappings_walk_root(&w, &p);
	}
	for (unsigned int i = 0; i < PAGING_MAX_LEVELS; i++)
		free(w.table[i]);
	free(w.seen);
	mappings_merge(ret);
	if (err)
		mappings_deinit(ret);
	return err;
}

void mappings_deinit(struct mappings *m)
{
	free(m->maps);
	*m = (struct mappings){ 0 };
}

/* The offset by which most memory is mapped */
uint64_t mappings_direct_offset(const struct mappings *m)
{
	struct { uint64_t offset, bytes; } found[MAX_OFFSETS];
	size_t num = 0, best = 0;

	for (size_t i = 0; i < m->num; i++) {
		const uint64_t offset = m->maps[i].vaddr - m->maps[i].paddr;
		size_t k = 0;

		if (offset % direct_map_align)
			continue;
		while (k < num && found[k].offset != offset)
			k++;
		if (k == MAX_OFFSETS)
			continue;
		if (k == num) {
			found[num].offset = offset;
			found[num++].bytes = 0;
		}
		found[k].bytes += m->maps[i].size;
		if (found[k].bytes > found[best].bytes)
			best = k;
	}
	return num ? found[best].offset : 0;
}
