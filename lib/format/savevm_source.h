/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * savevm_source.h - a migration stream in a file that is open, as the files that read it
 * share it
 *
 *     savevm.c          opens it: which pages it has, and what its devices tell
 *     savevm_pages.c    the pages themselves
 */
#pragma once

#include "../bytes/bytes.h"
#include "../machine/source.h"
#include "../migration/page_index.h"
#include "../migration/placement.h"

struct savevm {
	struct source source;
	struct source_ops ops;          /* with the format's name               */
	struct bytes *in;
	struct migration m;             /* its blocks                           */
	struct page_index index;
	struct placement layout;
	bool complete;                  /* the stream is there to its end       */
	unsigned char **bitmaps;        /* mapped-ram: by block                 */
	bool big_longs;                 /* they come from a big-endian host     */

	/* only while it is opened */
	struct devices devices;
	unsigned char *early, *late;    /* devices before and after the RAM    */
	size_t early_len, late_len;
};

/* mapped-ram: page @n of a block is in the file. */
bool savevm_bit(const struct savevm *v, uint32_t block, uint64_t n);
/* GDUMP_ERR_CORRUPT, about a place in a block */
MUST_CHECK struct gdump_error *savevm_page_error(const struct savevm *v, uint32_t block,
						 uint64_t off, const char *what);

/* As in struct source_ops */
MUST_CHECK struct gdump_error *savevm_read(struct source *s, uint64_t paddr, void *buf, size_t len);
MUST_CHECK struct gdump_error *savevm_scan(struct source *s, uint64_t pfn, size_t num,
					   unsigned char *state, bool holes);
uint64_t savevm_gap(struct source *s, uint64_t pfn, uint64_t num, enum page_state *state);
