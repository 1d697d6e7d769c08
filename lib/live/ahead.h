/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * ahead.h - reading the memory of a snapshot before QEMU sends it
 */
#pragma once

#include "../machine/source.h"
#include "memory_map.h"
#include "userfault.h"

enum ahead_phase {
	AHEAD_IDLE,                     /* before the memory is write-protected */
	AHEAD_READING,
	AHEAD_WAITING,                  /* for what QEMU sent before we came    */
	AHEAD_LIFTING,
	AHEAD_OVER,
};

struct ahead {
	/* the guest's memory, and who gets it */
	const struct procmem *mem;
	const struct mem_slot *slots;
	size_t num_slots;
	uint32_t page_size;
	const struct page_sink *to;
	enum ahead_phase phase;
	/* where we are: slots that are not done, and of the last of them the end of what
	 * is not, as a page while reading and in bytes while lifting
	 */
	size_t left;
	uint64_t end;
	unsigned int passes, waited;
	uint64_t missed;                /* pages of this pass that QEMU has to send */
	struct userfault userfault;
};

/* The memory of process @pid is write-protected: from now on there is work, unless some
 * slot ends within a page.
 */
void ahead_begin(struct ahead *a, pid_t pid);
/* Do a little of it, which takes less time than the pipe needs to become full.
 * To be called once all is read that QEMU had sent when the last call returned.
 * *@worked: there was something to do.
 */
MUST_CHECK struct gdump_error *ahead_work(struct ahead *a, bool *worked);
/* Nobody wants the memory any more: let the guest write, all at once. */
void ahead_cancel(struct ahead *a);
/* Free what ahead_begin() has made. */
void ahead_end(struct ahead *a);
