/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * procmem.h - reading the memory of another process, by its own addresses
 *
 * First call procmem_use() for all addresses that will be read.  Then the functions below
 * it may be called from many threads at once for these addresses.
 */
#pragma once

#include <sys/types.h>

#include "../error.h"

struct procmem;

/* GDUMP_ERR_OS if we may not read it: the message says which right is missing. */
MUST_CHECK struct gdump_error *procmem_open(pid_t pid, struct procmem **ret);
void procmem_close(struct procmem *pm);

/* Memory of the process that it may read and write, and does not run */
struct procmem_span {
	uint64_t start, size;
};
/* Find spans of at least @min bytes, ascending; mappings that continue each other are one span.  The
 * caller frees *@ret.
 */
MUST_CHECK struct gdump_error *procmem_find_spans(const struct procmem *pm, uint64_t min,
						  struct procmem_span **ret, size_t *num);

/* Prepare to read [addr, addr + size).  GDUMP_ERR_NODATA if the process has
 * no readable memory there.
 */
MUST_CHECK struct gdump_error *procmem_use(struct procmem *pm, uint64_t addr, uint64_t size);

/* The page size of procmem_scan(), which is that of the host */
uint64_t procmem_page_size(const struct procmem *pm);
/* Which of the @num pages from @addr on (a multiple of the page size) are populated:
 * @there is 1; the others are zero, and @there is 0.
 */
void procmem_scan(const struct procmem *pm, uint64_t addr, size_t num, unsigned char *there);
/* Which of the @num pages from @addr on are write-protected through userfaultfd.  Pages
 * whose state the kernel does not report count as WP_NONE.
 */
enum wp_state { WP_NONE, WP_PROTECTED, WP_PROTECTED_ZERO };
void procmem_wp_state(const struct procmem *pm, uint64_t addr, size_t num, unsigned char *wp);
/* The same of @num pieces of @size bytes from @addr on, whatever that is: the least of all pages
 * that a piece is in
 */
void procmem_wp_least(const struct procmem *pm, uint64_t addr, uint64_t size, size_t num,
		      unsigned char *wp);
/* Whether the kernel reports write protection at all */
bool procmem_reports_wp(const struct procmem *pm);
/* How many bytes of [addr, addr + size), which procmem_use() has seen, procmem_populate() would
 * make the host allocate; @private: reading private memory does so, too.
 */
uint64_t procmem_count_unpopulated(const struct procmem *pm, uint64_t addr, uint64_t size,
				   bool private);
/* Whether some of it is in hugetlbfs; procmem_use() has seen it. */
bool procmem_is_huge(const struct procmem *pm, uint64_t addr, uint64_t size);
/* Have the process populate what is not populated of [addr, addr + size): all of it, or what is
 * not shared.
 */
void procmem_populate_private(const struct procmem *pm, uint64_t addr, uint64_t size);
void procmem_populate(const struct procmem *pm, uint64_t addr, uint64_t size);
/* GDUMP_ERR_REMOTE if the process has ended, GDUMP_ERR_NODATA if a page cannot be read.
 * Allocates nothing in the process.
 */
MUST_CHECK struct gdump_error *procmem_read(const struct procmem *pm, uint64_t addr,
					    void *buf, size_t len);
/* A pointer to the process's own memory, where it is shared, or NULL.  Access only pages
 * that procmem_scan() reports as populated: an access to others would allocate them.
 */
const void *procmem_borrow(const struct procmem *pm, uint64_t addr, size_t len);

static inline void procmem_cleanup(struct procmem **pm)
{
	procmem_close(*pm);
}
#define CLEANUP_PROCMEM __attribute__((__cleanup__(procmem_cleanup)))
