/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * parallel.h - the same work on many threads
 */
#pragma once

#include "error.h"

enum { PARALLEL_MAX = 256 };            /* threads                              */

/* Work items 0 to num - 1 that threads take one by one. */
struct parallel {
	uint64_t next, num;
};

/* The next item; false: there is none. */
static inline bool parallel_next(struct parallel *p, uint64_t *ret)
{
	*ret = __atomic_fetch_add(&p->next, 1, __ATOMIC_RELAXED);
	return *ret < p->num;
}

/* Let up to @threads threads (0: one per CPU) call @fn, which takes items until
 * there are none.  Returns when all are done; the error is that of one of them.
 */
MUST_CHECK struct gdump_error *parallel_run(unsigned int threads, uint64_t num,
					    struct gdump_error *(*fn)(void *arg, struct parallel *p),
					    void *arg);

/* @asked, or one per CPU, but at most PARALLEL_MAX */
unsigned int parallel_threads(unsigned int asked);
