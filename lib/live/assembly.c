/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * assembly.c - the guest's pages out of smaller ones
 *
 * QEMU sends what the guest writes to first, and so parts of a page may come long before
 * the others do.  They are kept meanwhile.
 */
#include "assembly.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"

static const uint64_t max_kept = (uint64_t)1 << 30;     /* bytes */

struct unfinished {
	uint64_t pfn;
	uint64_t have;                  /* a bit for each part                  */
	unsigned char data[];
};

static int by_pfn(const void *a, const void *b)
{
	const struct unfinished *x = a, *y = b;

	return (x->pfn > y->pfn) - (x->pfn < y->pfn);
}

/* The page that is made as @pfn, a new one if need be; NULL: see *@err. */
static struct unfinished *find(struct assembly *a, uint64_t pfn, struct gdump_error **err)
{
	const struct unfinished key = { .pfn = pfn };
	struct unfinished **node = tfind(&key, &a->tree, by_pfn), *u;

	if (node)
		return *node;
	if (a->num >= max_kept / a->page_size) {
		*err = error_new(GDUMP_ERR_UNSUPPORTED,
				 "the guest writes to parts of too many pages: of %zu, some is missing still",
				 a->num);
		return NULL;
	}
	u = calloc(1, sizeof(*u) + a->page_size);
	if (u)
		u->pfn = pfn;
	if (!u || !tsearch(u, &a->tree, by_pfn)) {
		free(u);
		*err = error_nomem();
		return NULL;
	}
	a->num++;
	return u;
}

struct gdump_error *assembly_add(struct assembly *a, uint64_t paddr, const void *data,
				 const void **page)
{
	const uint32_t off = (uint32_t)(paddr % a->page_size), num = a->page_size / a->part_size;
	struct gdump_error *err = NULL;
	struct unfinished *u = find(a, paddr / a->page_size, &err);

	*page = NULL;
	if (!u)
		return err;
	if (data)
		memcpy(u->data + off, data, a->part_size);
	bit_set(&u->have, off / a->part_size);
	if (u->have != UINT64_MAX >> (64 - num))
		return NULL;
	tdelete(u, &a->tree, by_pfn);
	a->num--;
	free(a->whole);
	a->whole = u;
	*page = u->data;
	return NULL;
}

void assembly_deinit(struct assembly *a)
{
	tdestroy(a->tree, free);
	free(a->whole);
	*a = (struct assembly){ 0 };
}
