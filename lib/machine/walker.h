/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * walker.h - a guest's page tables
 *
 * What differs from CPU to CPU is a description: how the levels divide an
 * address, and what an entry means.  The walk is one for all.  Tables are
 * guest memory and may hold anything: the depth is fixed, so every walk ends,
 * and a table outside of memory maps nothing.
 */
#pragma once

#include "source.h"

enum { PAGING_MAX_LEVELS = 6 };

enum entry_kind { ENTRY_NONE, ENTRY_TABLE, ENTRY_PAGE };

/* Memory [paddr, paddr + size) is at @vaddr. */
struct mapping {
	uint64_t vaddr, paddr, size;
};

struct paging {
	/* Mapped without tables; ascending by vaddr, apart; freed by paging_deinit(). */
	struct mapping *pieces;
	size_t num_pieces;
	uint64_t root;                  /* paddr of the top table               */
	unsigned int levels;            /* 0: there are no tables               */
	/* from the top level down: lowest bit of the part of the address that
	 * indexes the table, and how many bits it has
	 */
	uint8_t shift[PAGING_MAX_LEVELS], bits[PAGING_MAX_LEVELS];
	uint8_t entry_size;             /* 4 or 8 bytes                         */
	bool big;                       /* byte order of entries                */
	bool sign;                      /* the addresses' top bit fills those above */
	uint64_t high;                  /* bits that are set in all of them     */
	uint64_t mask;                  /* arch's own: bits that are no address */
	/* What @entry of a table of @level (0: the top one) is, and the paddr
	 * that it has.
	 */
	enum entry_kind (*entry)(const struct paging *p, unsigned int level, uint64_t entry,
				 uint64_t *paddr);
};

/* A walker keeps the last table of each level; it is one thread's own. */
struct walker {
	const struct paging *paging;
	struct source *source;
	uint64_t paddr[PAGING_MAX_LEVELS];
	unsigned char *table[PAGING_MAX_LEVELS];
};

void paging_deinit(struct paging *p);

void walker_init(struct walker *w, const struct paging *p, struct source *s);
void walker_deinit(struct walker *w);

/* Where @vaddr is, and how many bytes from there on are mapped in one piece;
 * false: it is not mapped.
 */
bool walker_translate(struct walker *w, uint64_t vaddr, uint64_t *paddr, uint64_t *len);

/* Read memory by virtual address: GDUMP_ERR_NODATA where it is not mapped. */
MUST_CHECK struct gdump_error *walker_read(struct walker *w, uint64_t vaddr, void *buf, size_t len);
/* An integer of 1 to 8 bytes, in the guest's byte order. */
MUST_CHECK struct gdump_error *walker_uint(struct walker *w, uint64_t vaddr, unsigned int size,
					   uint64_t *ret);
