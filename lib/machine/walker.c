/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "walker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bisect.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "../util/cursor.h"

enum { MAX_TABLE = 1 << 20 };

static size_t walker_table_size(const struct paging *p, unsigned int level)
{
	return ((size_t)1 << p->bits[level]) * p->entry_size;
}

void walker_init(struct walker *w, const struct paging *p, struct source *s)
{
	*w = (struct walker){ .paging = p, .source = s };
	for (unsigned int i = 0; i < PAGING_MAX_LEVELS; i++)
		w->paddr[i] = UINT64_MAX;
}

void walker_move(struct walker *w, struct source *s)
{
	w->source = s;
	for (unsigned int i = 0; i < PAGING_MAX_LEVELS; i++)
		w->paddr[i] = UINT64_MAX;
}

void walker_deinit(struct walker *w)
{
	for (unsigned int i = 0; i < PAGING_MAX_LEVELS; i++)
		free(w->table[i]);
}

/* The table at @paddr, or NULL if it cannot be read. */
static const unsigned char *walker_table(struct walker *w, unsigned int level, uint64_t paddr)
{
	const size_t size = walker_table_size(w->paging, level);
	struct gdump_error *err;

	if (w->paddr[level] == paddr)
		return w->table[level];
	if (size > MAX_TABLE)
		return NULL;
	if (!w->table[level])
		w->table[level] = malloc(size);
	if (!w->table[level])
		return NULL;
	w->paddr[level] = UINT64_MAX;
	err = source_read(w->source, paddr, w->table[level], size);
	if (err) {
		gdump_error_destroy(err);
		return NULL;
	}
	w->paddr[level] = paddr;
	return w->table[level];
}

static uint64_t walker_entry(const struct paging *p, const unsigned char *table, uint64_t index)
{
	struct cursor c = cursor_init(table + index * p->entry_size, p->entry_size, p->big, true);

	return get_uint(&c, p->entry_size);
}

/* The mapping without tables that contains @vaddr, or NULL. */
static const struct mapping *paging_find_piece(const struct paging *p, uint64_t vaddr)
{
	const size_t i = BISECT(p->num_pieces, k, p->pieces[k].vaddr > vaddr);

	return i && vaddr - p->pieces[i - 1].vaddr < p->pieces[i - 1].size ? &p->pieces[i - 1]
									   : NULL;
}

bool walker_translate(struct walker *w, uint64_t vaddr, uint64_t *paddr, uint64_t *len)
{
	const struct paging *p = w->paging;
	const struct mapping *piece = paging_find_piece(p, vaddr);
	uint64_t next = p->root;

	*len = 1;
	if (piece) {
		*paddr = piece->paddr + (vaddr - piece->vaddr);
		*len = piece->size - (vaddr - piece->vaddr);
		return true;
	}
	for (unsigned int level = 0; level < p->levels; level++) {
		const unsigned char *table = walker_table(w, level, next);
		const uint64_t index = vaddr >> p->shift[level] &
				       (((uint64_t)1 << p->bits[level]) - 1);
		const uint64_t size = (uint64_t)1 << p->shift[level];

		*len = size - (vaddr & (size - 1));
		if (!table)
			return false;
		switch (p->entry(p, level, walker_entry(p, table, index), &next)) {
		case ENTRY_NONE:
			return false;
		case ENTRY_TABLE:
			break;
		case ENTRY_PAGE:
			*paddr = round_down(next, size) + (vaddr & (size - 1));
			return true;
		}
	}
	return false;
}

struct gdump_error *walker_read(struct walker *w, uint64_t vaddr, void *buf, size_t len)
{
	unsigned char *p = buf;

	if (w->deadline_us && clock_us() > w->deadline_us)
		return error_new(GDUMP_ERR_CANCELED, "reading the guest's memory takes too long");
	while (len) {
		struct gdump_error *err;
		uint64_t paddr, left;
		size_t n;

		if (!walker_translate(w, vaddr, &paddr, &left))
			return error_new(GDUMP_ERR_NODATA,
					 "virtual address 0x%" PRIx64 " is not mapped",
					 vaddr);
		n = (size_t)MIN(len, left);
		err = source_read(w->source, paddr, p, n);
		if (err)
			return err;
		p += n, vaddr += n, len -= n;
	}
	return NULL;
}

struct gdump_error *walker_read_new(struct walker *w, uint64_t vaddr, uint64_t len,
				    unsigned char **ret)
{
	CLEANUP_FREE unsigned char *buf = NULL;
	struct gdump_error *err;

	if (len > image_memory(&w->source->image) || len >= SIZE_MAX)
		return error_new(GDUMP_ERR_CORRUPT,
				 "%" PRIu64 " bytes at virtual address 0x%" PRIx64
				 " are more than the guest's memory", len, vaddr);
	buf = malloc((size_t)len + 1);
	if (!buf)
		return error_nomem();
	err = walker_read(w, vaddr, buf, (size_t)len);
	if (err)
		return err;
	buf[len] = '\0';
	*ret = TAKE_PTR(buf);
	return NULL;
}

struct gdump_error *walker_uint(struct walker *w, uint64_t vaddr, unsigned int size, uint64_t *ret)
{
	unsigned char buf[8];
	struct cursor c = cursor_init(buf, size, w->source->image.big, true);
	struct gdump_error *err = walker_read(w, vaddr, buf, size);

	if (!err)
		*ret = get_uint(&c, size);
	return err;
}

void paging_deinit(struct paging *p)
{
	free(p->pieces);
	p->pieces = NULL;
	p->num_pieces = 0;
}
