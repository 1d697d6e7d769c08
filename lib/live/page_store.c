/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * page_store.c - pages that came before anyone knew whether they are wanted
 */
#include "page_store.h"

#include <stdlib.h>
#include <string.h>

#include "../util/array.h"

enum {
	FIRST_CAP = 4096,               /* a power of two                       */
	CHUNK_BYTES = 1 << 20,
};

/* The slot that @pfn is in, or the free one where it belongs */
static struct kept_page *page_store_slot(const struct page_store *p, uint64_t pfn)
{
	size_t i = (size_t)((pfn * 0x9e3779b97f4a7c15) >> 20) & (p->cap - 1);

	while (p->table[i].key && p->table[i].key != pfn + 1)
		i = (i + 1) & (p->cap - 1);
	return &p->table[i];
}

/* Make room for one more; a third of the slots remains free. */
static struct gdump_error *page_store_grow(struct page_store *p)
{
	struct page_store old = *p;
	size_t i = 0;
	const struct kept_page *page;

	if (p->cap && p->num < p->cap / 3 * 2)
		return NULL;
	p->cap = p->cap ? 2 * p->cap : FIRST_CAP;
	p->table = calloc(p->cap, sizeof(*p->table));
	if (!p->table) {
		*p = old;
		return error_nomem();
	}
	while ((page = page_store_next(&old, &i)))
		*page_store_slot(p, kept_page_pfn(page)) = *page;
	p->bytes += (p->cap - old.cap) * sizeof(*p->table);
	free(old.table);
	return NULL;
}

/* Room for the data of one page, or NULL */
static unsigned char *page_store_room(struct page_store *p)
{
	const size_t per_chunk = CHUNK_BYTES / p->page_size ? CHUNK_BYTES / p->page_size : 1;

	if (!p->num_chunks || p->chunk_used == per_chunk) {
		if (!ARRAY_GROW(p->chunks, p->num_chunks))
			return NULL;
		p->chunks[p->num_chunks] = malloc(per_chunk * p->page_size);
		if (!p->chunks[p->num_chunks])
			return NULL;
		p->num_chunks++;
		p->chunk_used = 0;
		p->bytes += per_chunk * p->page_size;
	}
	return p->chunks[p->num_chunks - 1] + p->chunk_used++ * p->page_size;
}

struct gdump_error *page_store_put(struct page_store *p, uint64_t pfn, const void *data)
{
	struct gdump_error *err = page_store_grow(p);
	struct kept_page *slot;
	unsigned char *copy = NULL;

	if (err)
		return err;
	slot = page_store_slot(p, pfn);
	if (slot->key)
		return NULL;
	if (data) {
		copy = page_store_room(p);
		if (!copy)
			return error_nomem();
		memcpy(copy, data, p->page_size);
	}
	*slot = (struct kept_page){ .key = pfn + 1, .data = copy };
	p->num++;
	return NULL;
}

const struct kept_page *page_store_find(const struct page_store *p, uint64_t pfn)
{
	const struct kept_page *slot = p->cap ? page_store_slot(p, pfn) : NULL;

	return slot && slot->key ? slot : NULL;
}

const struct kept_page *page_store_next(const struct page_store *p, size_t *i)
{
	while (*i < p->cap && !p->table[*i].key)
		++*i;
	return *i < p->cap ? &p->table[(*i)++] : NULL;
}

void page_store_deinit(struct page_store *p)
{
	for (size_t i = 0; i < p->num_chunks; i++)
		free(p->chunks[i]);
	free(p->chunks);
	free(p->table);
	*p = (struct page_store){ .page_size = p->page_size };
}
