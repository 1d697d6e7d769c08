/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "meta.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bisect.h"
#include "../util/bits.h"

enum {
	SPECIAL_SIZE = 4,
	ZERO = 0x01, SHARED = 0x02, MAPPED = 0x04,
	COUNT_PAGES = 4096,             /* at once                              */
};

enum pv_state pv_state(const unsigned char *c)
{
	if (memcmp(c, "\xff\xff\xff\xff", SPECIAL_SIZE))
		return PV_ENCRYPTED;
	if (c[14])
		return PV_INVALID;
	switch (c[15] & ~MAPPED) {
	case ZERO:
		return PV_ZERO;
	case SHARED:
		return PV_SHARED;
	default:
		return PV_INVALID;
	}
}

static int pv_load_compare(const void *a, const void *b)
{
	const struct pv_load *x = a, *y = b;

	return (x->paddr > y->paddr) - (x->paddr < y->paddr);
}

/* Loads must consist of whole pages, because pages are encrypted, and must not overlap. */
static struct gdump_error *pv_meta_check_loads(const struct pv_meta *m)
{
	for (size_t i = 0; i < m->num_loads; i++) {
		const struct pv_load *l = &m->loads[i];

		if (l->paddr % PV_PAGE || l->size % PV_PAGE || l->paddr + (l->size - 1) < l->paddr)
			return error_new(GDUMP_ERR_CORRUPT,
					 "the segment at 0x%" PRIx64 " with 0x%" PRIx64 " bytes "
					 "does not consist of whole pages",
					 l->paddr, l->size);
		if (i && l->paddr <= l[-1].paddr + (l[-1].size - 1))
			return error_new(GDUMP_ERR_CORRUPT,
					 "the segments at 0x%" PRIx64 " and 0x%" PRIx64 " overlap",
					 l[-1].paddr,
					 l->paddr);
	}
	return NULL;
}

/* Set .off in file order; the size of all components, or UINT64_MAX if that overflows. */
static uint64_t pv_meta_place_loads(struct pv_meta *m)
{
	const uint64_t room = UINT64_MAX - m->off;
	uint64_t sum = 0;

	for (size_t i = 0; i < m->num_loads; i++) {
		const uint64_t need = m->loads[i].size / PV_PAGE * PV_COMPONENT;

		m->loads[i].off = m->off + sum;
		if (need > room - sum)
			return UINT64_MAX;
		sum += need;
	}
	return sum;
}

struct gdump_error *pv_meta_init(struct pv_meta *m)
{
	const uint64_t needed = pv_meta_place_loads(m);
	const struct pv_load *last;
	struct gdump_error *err;
	uint64_t reach;

	if (!m->num_loads)
		return NULL;
	qsort(m->loads, m->num_loads, sizeof(*m->loads), pv_load_compare);
	err = pv_meta_check_loads(m);
	if (err)
		return err;
	last = &m->loads[m->num_loads - 1];
	reach = ((last->paddr + (last->size - 1)) / PV_PAGE + 1) * PV_COMPONENT;
	if (m->size < needed)
		return error_new(GDUMP_ERR_CORRUPT,
				 "section pv_mem_meta has %" PRIu64 " bytes, and the segments "
				 "need %" PRIu64,
				 m->size, needed);
	m->by_address = m->size > needed && m->size >= reach;
	for (size_t i = 0; m->by_address && i < m->num_loads; i++)
		m->loads[i].off = m->off + m->loads[i].paddr / PV_PAGE * PV_COMPONENT;
	return NULL;
}

void pv_meta_deinit(struct pv_meta *m)
{
	free(m->loads);
}

/* The load whose part in the file contains @paddr, or NULL. */
static const struct pv_load *pv_meta_load_at(const struct pv_meta *m, uint64_t paddr)
{
	const size_t i = BISECT(m->num_loads, k, m->loads[k].paddr > paddr);

	return i && paddr - m->loads[i - 1].paddr < m->loads[i - 1].there ? &m->loads[i - 1] : NULL;
}

struct gdump_error *pv_meta_read(const struct pv_meta *m, uint64_t paddr, size_t num,
				 unsigned char *components, size_t *ret)
{
	const struct pv_load *l = pv_meta_load_at(m, paddr);
	const uint64_t page = l ? (paddr - l->paddr) / PV_PAGE : 0;
	struct gdump_error *err = NULL;
	size_t n = 0;

	if (l) {
		n = (size_t)MIN(num, l->there / PV_PAGE - page);
		err = bytes_read(m->in, l->off + page * PV_COMPONENT, components, n * PV_COMPONENT);
	}
	if (err)
		return error_prefix(err, "section pv_mem_meta, for the page at 0x%" PRIx64,
				    paddr);
	*ret = n;
	return NULL;
}

struct gdump_error *pv_meta_count(const struct pv_meta *m, uint64_t count[4], uint64_t *invalid)
{
	unsigned char *buf = malloc(COUNT_PAGES * PV_COMPONENT);
	struct gdump_error *err = buf ? NULL : error_nomem();

	memset(count, 0, 4 * sizeof(*count));
	for (size_t i = 0; i < m->num_loads; i++) {
		const struct pv_load *l = &m->loads[i];
		size_t n = 0;

		for (uint64_t off = 0; !err && off < l->there; off += n * PV_PAGE) {
			err = pv_meta_read(m, l->paddr + off, COUNT_PAGES, buf, &n);
			for (size_t k = 0; !err && k < n; k++) {
				const enum pv_state state = pv_state(buf + k * PV_COMPONENT);

				if (state == PV_INVALID && !count[state])
					*invalid = l->paddr + off + k * PV_PAGE;
				count[state]++;
			}
		}
	}
	free(buf);
	return err;
}
