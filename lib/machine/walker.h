/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * walker.h - a guest's page tables
 *
 * struct paging describes what differs from CPU to CPU: how the levels divide an address,
 * and what an entry means.  The walk is the same for all.  Tables are guest memory and may
 * contain anything: the number of levels is limited, so every walk ends, and a table outside
 * memory maps nothing.
 */
#pragma once

#include "source.h"

enum { PAGING_MAX_LEVELS = 6 };

enum entry_kind { ENTRY_NONE, ENTRY_TABLE, ENTRY_PAGE };

/* Memory [paddr, paddr + size) is mapped at @vaddr. */
struct mapping {
	uint64_t vaddr, paddr, size;
};

struct paging {
	/* Mappings without tables: ascending by vaddr, not overlapping; freed by
	 * paging_deinit().
	 */
	struct mapping *pieces;
	size_t num_pieces;
	uint64_t root;                  /* paddr of the top table               */
	unsigned int levels;            /* 0: there are only @pieces            */
	/* by level, the top one first: the bits of the address that index the table, as the
	 * lowest one and their number
	 */
	uint8_t shift[PAGING_MAX_LEVELS], bits[PAGING_MAX_LEVELS];
	uint8_t entry_size;             /* 4 or 8 bytes                         */
	bool big;                       /* byte order of entries                */
	bool sign;                      /* the top bit of an address is repeated above */
	uint64_t high;                  /* bits that are set in all addresses   */
	uint64_t mask;                  /* for entry(): bits that are not part of an address */
	/* What an @entry of a table of @level (0: the top one) is, and the paddr of the table
	 * or page.
	 */
	enum entry_kind (*entry)(const struct paging *p, unsigned int level, uint64_t entry,
				 uint64_t *paddr);
};

/* Caches the last table of each level; for one thread at a time. */
struct walker {
	const struct paging *paging;
	struct source *source;
	uint64_t deadline_us;           /* by clock_us(): then reading fails; 0: never */
	uint64_t paddr[PAGING_MAX_LEVELS];
	unsigned char *table[PAGING_MAX_LEVELS];
};

void paging_deinit(struct paging *p);

/* Nothing is copied: @p and @s must outlive the walker. */
void walker_init(struct walker *w, const struct paging *p, struct source *s);
/* From now on, read @s: what is cached of tables is forgotten. */
void walker_move(struct walker *w, struct source *s);
void walker_deinit(struct walker *w);

/* Translate @vaddr; @len: how many bytes from there on belong to the same mapping.  False: so many
 * are not mapped.
 */
bool walker_translate(struct walker *w, uint64_t vaddr, uint64_t *paddr, uint64_t *len);

/* Read memory by virtual address.  GDUMP_ERR_NODATA: a byte is not mapped;
 * GDUMP_ERR_CANCELED: the deadline has passed.
 */
MUST_CHECK struct gdump_error *walker_read(struct walker *w, uint64_t vaddr, void *buf, size_t len);
/* The same, into a new buffer, which has a NUL after the @len bytes; the caller frees it.  @len may
 * come from the guest: GDUMP_ERR_CORRUPT if the guest has less memory.
 */
MUST_CHECK struct gdump_error *walker_read_new(struct walker *w, uint64_t vaddr, uint64_t len,
					       unsigned char **ret);
/* Read an integer of 1 to 8 bytes, in the guest's byte order. */
MUST_CHECK struct gdump_error *walker_uint(struct walker *w, uint64_t vaddr, unsigned int size,
					   uint64_t *ret);
