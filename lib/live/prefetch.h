/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * prefetch.h - reading the memory of a snapshot before QEMU sends it
 *
 * For one thread at a time.
 */
#pragma once

#include "../machine/source.h"
#include "memory_map.h"
#include "uffd.h"

enum prefetch_phase {
	PREFETCH_IDLE,                  /* the memory is not write-protected yet */
	PREFETCH_READ,
	PREFETCH_WAIT,                  /* for what QEMU sent before we came    */
	PREFETCH_UNPROTECT,
	PREFETCH_DONE,
};

struct prefetch {
	/* set by the caller: the guest's memory, and who gets it */
	const struct procmem *mem;
	const struct mem_slot *slots;
	size_t num_slots;
	uint32_t page_size;
	const struct page_sink *to;
	enum prefetch_phase phase;      /* PREFETCH_IDLE at first               */
	/* where we are: slots that are not done, and of the last of them the end of what
	 * is not, as a page number while reading, and in bytes while unprotecting
	 */
	size_t left;
	uint64_t end;
	unsigned int passes, waited;
	uint64_t missed;                /* pages of this pass that QEMU has to send */
	struct uffd uffd;
	bool uffd_is_callers;
};

/* The memory of process @pid is write-protected: from now on there is something to do, unless
 * a slot ends within a page.
 */
void prefetch_begin(struct prefetch *p, pid_t pid);
/* The same with the descriptor that the caller has put into @p->uffd, which remains the caller's. */
void prefetch_begin_own(struct prefetch *p);
/* Do a little, which takes less time than the pipe needs to become full.  Between two
 * calls, the caller reads all that QEMU had sent when the first one returned.
 * *@worked: there was something to do.
 */
MUST_CHECK struct gdump_error *prefetch_step(struct prefetch *p, bool *worked);
/* Nobody wants the memory any more: remove the protection, all at once. */
void prefetch_cancel(struct prefetch *p);
/* Free what prefetch_begin() has made. */
void prefetch_end(struct prefetch *p);
