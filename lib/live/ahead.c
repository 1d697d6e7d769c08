/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * ahead.c - reading the memory of a snapshot before QEMU sends it
 *
 * Theory of operation.  While a snapshot lasts, a page is write-protected as long as
 * QEMU has not sent it: before the guest may write to it, it is in the pipe.  So a page
 * that is write-protected still after we have copied it from QEMU's process is as
 * it was at the moment of the snapshot; and the others have been sent.  The page tables
 * tell which are, and reading them is several times faster than QEMU, who makes
 * three system calls for each page.
 *
 * QEMU goes from the start of memory to its end, and we the other way.  What was sent
 * before we came is in the pipe: after it has been emptied we look again for what is still
 * missing.  When nothing is, the protection is of no use to anybody.  So we lift it
 * with QEMU's own descriptor: no write of the guest has to wait any more, and QEMU's way
 * to the end is faster.  What it still sends then is of no moment, and passed over; but
 * the state of the devices at the end is.
 *
 * ROM and the like, to which the guest cannot write, is never protected; if it did not
 * come it is read as it is.  Any other page that is not protected, for whatever reason,
 * comes when QEMU sends it, and the protection stays until then.
 *
 * All this is a short cut: whatever fails here, QEMU sends every page.
 */
#include "ahead.h"

#include <string.h>

#include "../util/bits.h"

enum {
	RUN_MAX = 128,                  /* pages that are read at once          */
	LOOK = 4096,                    /* pages that nobody wants              */
	LIFT = 64 << 20,                /* bytes to lift the protection from    */
	CALLS_TO_EMPTY = 4,             /* the pipe                             */
	PASSES_MAX = 4,
};

/* From the end of memory down */
static void begin(struct ahead *a, enum ahead_phase phase)
{
	a->phase = phase;
	a->left = a->num_slots;
	a->end = UINT64_MAX;
}

static void begin_pass(struct ahead *a)
{
	begin(a, AHEAD_READING);
	a->passes++;
	a->missed = a->waited = 0;
}

/* All pages were looked at: what now? */
static void end_pass(struct ahead *a)
{
	if (!a->missed)
		begin(a, AHEAD_LIFTING);
	else
		a->phase = a->passes < PASSES_MAX ? AHEAD_WAITING : AHEAD_OVER;
}

/* Go to the end of what was not looked at: the slot that it is in, or NULL. */
static const struct mem_slot *find_end(struct ahead *a, uint64_t *first)
{
	for (; a->left; a->left--, a->end = UINT64_MAX) {
		const struct mem_slot *s = &a->slots[a->left - 1];

		*first = s->paddr / a->page_size;
		a->end = MIN(a->end, (s->paddr + (s->size - 1)) / a->page_size + 1);
		if (a->end > *first)
			return s;
	}
	return NULL;
}

static bool is_wanted(const struct ahead *a, uint64_t pfn)
{
	return a->to->wants(a->to->arg, pfn);
}

/* Up to @max neighbours that are wanted, the last ones: [a->end, *@end), in one slot.
 * NULL: there are none, or not so near.
 */
static const struct mem_slot *next_run(struct ahead *a, size_t max, uint64_t *end)
{
	unsigned int budget = LOOK;
	const struct mem_slot *s;
	uint64_t first;

	while (budget && (s = find_end(a, &first))) {
		for (; a->end > first && budget && !is_wanted(a, a->end - 1); budget--)
			a->end--;
		*end = a->end;
		while (a->end > first && *end - a->end < max && is_wanted(a, a->end - 1))
			a->end--;
		if (a->end < *end)
			return s;
	}
	return NULL;
}

/* How @num pages of the guest at @hva are protected: as a whole */
static void look(const struct ahead *a, uint64_t hva, size_t num, unsigned char *is)
{
	const uint64_t host = procmem_page_size(a->mem), start = round_down(hva, host);
	const uint64_t of_host = div_up(hva + num * a->page_size - start, host);
	unsigned char one[RUN_MAX + 1];

	memset(is, PAGE_UNPROTECTED, num);
	if (of_host > sizeof(one))
		return;
	procmem_protected(a->mem, start, (size_t)of_host, one);
	for (size_t i = 0; i < num; i++) {
		const uint64_t page = hva + i * a->page_size - start;

		is[i] = PAGE_PROTECTED_ZERO;
		for (uint64_t k = page / host; k * host < page + a->page_size; k++)
			is[i] = MIN(is[i], one[k]);
	}
}

/* Read pages to @buf that are wanted, and give those that are of the moment. */
static struct gdump_error *take_pages(struct ahead *a, const struct mem_slot *s, uint64_t pfn,
				      size_t num, unsigned char *buf)
{
	const uint64_t hva = s->hva + (pfn * a->page_size - s->paddr);
	/* what can change is in the pipe, or was, if it is not protected */
	const bool as_it_is = s->kind != GDUMP_RANGE_RAM && a->passes > 1;
	struct gdump_error *err = procmem_read(a->mem, hva, buf, num * a->page_size);
	unsigned char is[RUN_MAX];

	if (err && gdump_error_code(err) == GDUMP_ERR_REMOTE)
		return err;
	if (err) {
		gdump_error_destroy(err);
		a->missed += num;
		return NULL;
	}
	look(a, hva, num, is);
	for (size_t i = 0; !err && i < num; i++, buf += a->page_size) {
		if (is[i] == PAGE_UNPROTECTED && !as_it_is)
			a->missed++;
		else
			err = a->to->put(a->to->arg, pfn + i, is_zero(buf, a->page_size) ? NULL : buf);
	}
	return err;
}

/* Take pages [a->end, @end).  Those that are the kernel's page of zeros need not be read. */
static struct gdump_error *take_run(struct ahead *a, const struct mem_slot *s, uint64_t end,
				    unsigned char *buf)
{
	const size_t num = (size_t)(end - a->end);
	struct gdump_error *err = NULL;
	unsigned char is[RUN_MAX];
	size_t n;

	look(a, s->hva + (a->end * a->page_size - s->paddr), num, is);
	for (size_t i = 0; !err && i < num; i += n) {
		n = 1;
		if (is[i] == PAGE_PROTECTED_ZERO) {
			err = a->to->put(a->to->arg, a->end + i, NULL);
			continue;
		}
		while (i + n < num && is[i + n] != PAGE_PROTECTED_ZERO)
			n++;
		err = take_pages(a, s, a->end + i, n, buf);
		buf += n * a->page_size;
	}
	return err;
}

static struct gdump_error *read_some(struct ahead *a, bool *worked)
{
	size_t room = 0;
	unsigned char *buf = a->to->reserve(a->to->arg, &room);
	const struct mem_slot *s;
	uint64_t end;

	*worked = buf;
	if (!buf)
		return NULL;
	s = next_run(a, MIN(room, (size_t)RUN_MAX), &end);
	if (s)
		return take_run(a, s, end, buf);
	if (!a->left)
		end_pass(a);
	return NULL;
}

/* Some of one slot, from its end on */
static void lift_some(struct ahead *a)
{
	const uint64_t host = procmem_page_size(a->mem);
	const struct mem_slot *s;
	uint64_t start, end, from;

	if (!a->left) {
		a->phase = AHEAD_OVER;
		userfault_close(&a->userfault);
		return;
	}
	s = &a->slots[a->left - 1];
	start = round_up(s->hva, host);
	end = MIN(a->end, round_down(s->hva + s->size, host));
	from = end > start && end - start > LIFT ? end - LIFT : start;
	if (from < end)
		userfault_lift(&a->userfault, from, end - from);
	a->end = from;
	if (from == start) {
		a->left--;
		a->end = UINT64_MAX;
	}
}

/* Whether each page is in one slot: a part of one would not be looked at, nor missed. */
static bool has_whole_pages(const struct ahead *a)
{
	for (size_t i = 0; i < a->num_slots; i++) {
		if ((a->slots[i].paddr | a->slots[i].size) % a->page_size)
			return false;
	}
	return true;
}

void ahead_begin(struct ahead *a, pid_t pid)
{
	if (!has_whole_pages(a))
		return;
	userfault_open(&a->userfault, pid);
	begin_pass(a);
}

struct gdump_error *ahead_work(struct ahead *a, bool *worked)
{
	*worked = true;
	switch (a->phase) {
	case AHEAD_READING:
		return read_some(a, worked);
	case AHEAD_LIFTING:
		lift_some(a);
		return NULL;
	case AHEAD_WAITING:
		if (a->waited++ == CALLS_TO_EMPTY)
			begin_pass(a);
		/* fall through */
	case AHEAD_IDLE: case AHEAD_OVER:
		*worked = false;
		return NULL;
	}
	return NULL;
}

void ahead_cancel(struct ahead *a)
{
	if (a->phase == AHEAD_IDLE || a->phase == AHEAD_OVER)
		return;
	if (a->phase != AHEAD_LIFTING)
		begin(a, AHEAD_LIFTING);
	while (a->phase == AHEAD_LIFTING)
		lift_some(a);
}

void ahead_end(struct ahead *a)
{
	userfault_close(&a->userfault);
	*a = (struct ahead){ .phase = AHEAD_IDLE };
}
