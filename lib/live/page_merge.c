/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * page_merge.c - the guest's pages out of smaller ones
 *
 * QEMU sends those pages first that the guest writes to, so some parts of a page may come
 * long before the others.  They are kept meanwhile.
 */
#include "page_merge.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"

static const uint64_t max_bytes = (uint64_t)1 << 30;    /* of partial pages */

struct partial {
	uint64_t pfn;
	uint64_t have;                  /* a bit for each part                  */
	unsigned char data[];
};

static int partial_by_pfn(const void *a, const void *b)
{
	const struct partial *x = a, *y = b;

	return (x->pfn > y->pfn) - (x->pfn < y->pfn);
}

/* The partial page @pfn, a new one if need be; NULL: see *@err. */
static struct partial *partial_find(struct page_merge *m, uint64_t pfn, struct gdump_error **err)
{
	const struct partial key = { .pfn = pfn };
	struct partial **node = tfind(&key, &m->tree, partial_by_pfn), *u;

	if (node)
		return *node;
	if (m->num >= max_bytes / m->page_size) {
		*err = error_new(GDUMP_ERR_UNSUPPORTED,
				 "the guest writes to parts of too many pages: %zu pages are incomplete",
				 m->num);
		return NULL;
	}
	u = calloc(1, sizeof(*u) + m->page_size);
	if (u)
		u->pfn = pfn;
	if (!u || !tsearch(u, &m->tree, partial_by_pfn)) {
		free(u);
		*err = error_nomem();
		return NULL;
	}
	m->num++;
	return u;
}

struct gdump_error *page_merge_add(struct page_merge *m, uint64_t paddr, const void *data,
				   const void **page)
{
	const uint32_t off = (uint32_t)(paddr % m->page_size), num = m->page_size / m->part_size;
	struct gdump_error *err = NULL;
	struct partial *u = partial_find(m, paddr / m->page_size, &err);

	*page = NULL;
	if (!u)
		return err;
	if (data)
		memcpy(u->data + off, data, m->part_size);
	bit_set(&u->have, off / m->part_size);
	if (u->have != UINT64_MAX >> (64 - num))
		return NULL;
	tdelete(u, &m->tree, partial_by_pfn);
	m->num--;
	free(m->complete);
	m->complete = u;
	*page = u->data;
	return NULL;
}

void page_merge_deinit(struct page_merge *m)
{
	tdestroy(m->tree, free);
	free(m->complete);
	*m = (struct page_merge){ 0 };
}
