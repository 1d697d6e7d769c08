/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * writer.h - write pages to one file of a dump
 *
 * The pipeline hands over batches of pages.  place() is called once for each, one at a
 * time, and gives the batch its places in the file without doing any I/O; pages ascend
 * from call to call, unless write_spec.any_order is set.  store() then writes it: from
 * any thread and in any order if the sink seeks, otherwise in order.  So the layout of
 * the file does not depend on the number of threads, while all of them write.
 */
#pragma once

#include "../error.h"
#include "plan.h"
#include "../sink/sink.h"

struct codec;

enum page_kind {
	PAGE_UNCOMPRESSED,
	PAGE_COMPRESSED,
	PAGE_ZERO,
	PAGE_LOST,      /* it could not be read: the dump is incomplete         */
};

struct page {
	uint64_t pfn;
	uint32_t len;                   /* bytes of data; 0: none               */
	enum page_kind kind;
};

struct batch {
	struct page *pages;             /* by ascending pfn, but for any_order  */
	size_t num_pages;
	const unsigned char *data;      /* of PAGE_UNCOMPRESSED and PAGE_COMPRESSED pages,
					 * back to back in page order           */
	size_t data_len;
	size_t num_lost;
	/* free for place() to fill and store() to use */
	uint64_t data_off, index;
};

struct writer;
struct writer_ops {
	/* The first pfn after @pfn that is in another file: no batch has pages on both sides
	 * of it.  NULL: there is only one file.
	 */
	uint64_t (*slice_end)(struct writer *w, uint64_t pfn);
	/* NULL: every page has its place in the file already. */
	void (*place)(struct writer *w, struct batch *b);
	struct gdump_error *(*store)(struct writer *w, const struct batch *b);
	/* All batches are stored: write what is known only now, and set @size to the length of
	 * the file.
	 */
	struct gdump_error *(*finish)(struct writer *w, uint64_t *size);
	void (*close)(struct writer *w);
};

struct writer {
	const struct writer_ops *ops;
	const struct codec *codec;      /* NULL: pages are not compressed       */
	int level;
	uint64_t zero_filled;           /* pages that are zero in the dump, as
					 * its format cannot omit them          */
	uint64_t lost_cpus;             /* whose registers have no place in the format */
	bool incomplete;                /* pages were lost: finish() says so    */
	bool unmarked;                  /* set by finish(): nothing in the file says that it is
					 * incomplete                           */
};

/* The arguments for a new writer; what they point to must outlive the writer. */
struct write_spec {
	const struct image *image;      /* the description of the machine       */
	const struct gdump_plan *plan;
	struct source *source;          /* to read facts from its memory        */
	const struct codec *codec;
	int level;
	bool paging;                    /* with the guest's virtual addresses   */
	const struct pv_dump_section *sections; /* to be fetched from @source after the
					 * memory is written; NULL: none        */
	bool any_order;                 /* batches are not ascending            */
	struct sink *sink;
	uint64_t part_start, part_end;  /* pfns whose data this file of a split
					 * dump has; end 0: it is not split     */
	struct sink *ranges_file;       /* for formats that write PATH.ranges;
					 * NULL: it cannot be written           */
};

static inline void writer_cleanup(struct writer **w)
{
	if (*w)
		(*w)->ops->close(*w);
}
#define CLEANUP_WRITER __attribute__((__cleanup__(writer_cleanup)))
