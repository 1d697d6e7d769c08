/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * prefetch.c - reading the memory of a snapshot before QEMU sends it
 *
 * Theory of operation.  While a snapshot lasts, a page is write-protected as long as
 * QEMU has not sent it: before the guest may write to it, it is in the pipe.  So a page
 * that is still write-protected after we have copied it from QEMU's process is as
 * it was at the moment of the snapshot; the others have been sent.  The page tables
 * show which is which, and reading them is several times faster than QEMU, which makes
 * three system calls for each page.
 *
 * QEMU goes from the start of memory to its end, and we go the other way.  What was sent
 * before we came is in the pipe: after that has been emptied we look again at what is still
 * missing.  When nothing is, the protection is not needed any more, and we remove it with
 * QEMU's own descriptor: then no write of the guest has to wait, and QEMU is faster.
 * Pages that QEMU sends from then on no longer belong to the snapshot's point in time, so
 * they are ignored; the device state at the end is still valid.
 *
 * ROM and the like, to which the guest cannot write, is never protected; if it did not
 * come it is read as it is.  Any other page that is not protected, for whatever reason,
 * comes when QEMU sends it, and the protection stays until then.
 *
 * All this only saves time: when it fails, QEMU sends every page.
 */
#include "prefetch.h"

#include <string.h>

#include "../util/bits.h"

enum {
	RUN_MAX = 128,                  /* pages that are read at once          */
	LOOK_MAX = 4096,                /* unwanted pages to skip in one step */
	UNPROTECT_MAX = 64 << 20,       /* bytes, in one step                   */
	STEPS_TO_EMPTY = 4,             /* the pipe                             */
	PASSES_MAX = 4,
};

/* From the end of memory down */
static void prefetch_go(struct prefetch *p, enum prefetch_phase phase)
{
	p->phase = phase;
	p->left = p->num_slots;
	p->end = UINT64_MAX;
}

static void prefetch_begin_pass(struct prefetch *p)
{
	prefetch_go(p, PREFETCH_READ);
	p->passes++;
	p->missed = p->waited = 0;
}

/* All pages were looked at: what now? */
static void prefetch_end_pass(struct prefetch *p)
{
	if (!p->missed)
		prefetch_go(p, PREFETCH_UNPROTECT);
	else
		p->phase = p->passes < PASSES_MAX ? PREFETCH_WAIT : PREFETCH_DONE;
}

/* The slot that the end of what remains is in, or NULL: p->end goes there. */
static const struct mem_slot *prefetch_find_end(struct prefetch *p, uint64_t *first)
{
	for (; p->left; p->left--, p->end = UINT64_MAX) {
		const struct mem_slot *s = &p->slots[p->left - 1];

		*first = s->paddr / p->page_size;
		p->end = MIN(p->end, (s->paddr + (s->size - 1)) / p->page_size + 1);
		if (p->end > *first)
			return s;
	}
	return NULL;
}

static bool prefetch_wants(const struct prefetch *p, uint64_t pfn)
{
	return p->to->wants(p->to->arg, pfn);
}

/* The last pages that are wanted, up to @max without a gap: [p->end, *@end), in one slot.
 * NULL: there are none among the next LOOK_MAX.
 */
static const struct mem_slot *prefetch_next_run(struct prefetch *p, size_t max, uint64_t *end)
{
	unsigned int budget = LOOK_MAX;
	const struct mem_slot *s;
	uint64_t first;

	while (budget && (s = prefetch_find_end(p, &first))) {
		for (; p->end > first && budget && !prefetch_wants(p, p->end - 1); budget--)
			p->end--;
		*end = p->end;
		while (p->end > first && *end - p->end < max && prefetch_wants(p, p->end - 1))
			p->end--;
		if (p->end < *end)
			return s;
	}
	return NULL;
}

/* Read wanted pages to @buf, and put those that are as they were at the snapshot. */
static struct gdump_error *prefetch_put_pages(struct prefetch *p, const struct mem_slot *s,
					      uint64_t pfn, size_t num, unsigned char *buf)
{
	const uint64_t hva = s->hva + (pfn * p->page_size - s->paddr);
	/* if RAM is not protected, it is in the pipe, or was; ROM never is */
	const bool as_it_is = s->kind != GDUMP_RANGE_RAM && p->passes > 1;
	struct gdump_error *err = procmem_read(p->mem, hva, buf, num * p->page_size);
	unsigned char wp[RUN_MAX];

	if (err && gdump_error_code(err) == GDUMP_ERR_REMOTE)
		return err;
	if (err) {
		gdump_error_destroy(err);
		p->missed += num;
		return NULL;
	}
	procmem_wp_least(p->mem, hva, p->page_size, num, wp);
	for (size_t i = 0; !err && i < num; i++, buf += p->page_size) {
		if (wp[i] == WP_NONE && !as_it_is)
			p->missed++;
		else
			err = p->to->put(p->to->arg, pfn + i, is_zero(buf, p->page_size) ? NULL : buf);
	}
	return err;
}

/* Put pages [p->end, @end).  Those that are the kernel's page of zeros need not be read. */
static struct gdump_error *prefetch_put_run(struct prefetch *p, const struct mem_slot *s,
					    uint64_t end, unsigned char *buf)
{
	const size_t num = (size_t)(end - p->end);
	struct gdump_error *err = NULL;
	unsigned char wp[RUN_MAX];
	size_t n;

	procmem_wp_least(p->mem, s->hva + (p->end * p->page_size - s->paddr), p->page_size, num, wp);
	for (size_t i = 0; !err && i < num; i += n) {
		n = 1;
		if (wp[i] == WP_PROTECTED_ZERO) {
			err = p->to->put(p->to->arg, p->end + i, NULL);
			continue;
		}
		while (i + n < num && wp[i + n] != WP_PROTECTED_ZERO)
			n++;
		err = prefetch_put_pages(p, s, p->end + i, n, buf);
		buf += n * p->page_size;
	}
	return err;
}

static struct gdump_error *prefetch_read(struct prefetch *p, bool *worked)
{
	size_t room = 0;
	unsigned char *buf = p->to->reserve(p->to->arg, &room);
	const struct mem_slot *s;
	uint64_t end;

	*worked = buf;
	if (!buf)
		return NULL;
	s = prefetch_next_run(p, MIN(room, (size_t)RUN_MAX), &end);
	if (s)
		return prefetch_put_run(p, s, end, buf);
	if (!p->left)
		prefetch_end_pass(p);
	return NULL;
}

/* Some of one slot, from its end on */
static void prefetch_unprotect(struct prefetch *p)
{
	const uint64_t host = procmem_page_size(p->mem);
	const struct mem_slot *s;
	uint64_t start, end, from;

	if (!p->left) {
		p->phase = PREFETCH_DONE;
		if (!p->uffd_is_callers)
			uffd_close(&p->uffd);
		return;
	}
	s = &p->slots[p->left - 1];
	start = round_up(s->hva, host);
	end = MIN(p->end, round_down(s->hva + s->size, host));
	from = end > start && end - start > UNPROTECT_MAX ? end - UNPROTECT_MAX : start;
	if (from < end)
		uffd_unprotect(&p->uffd, from, end - from);
	p->end = from;
	if (from == start) {
		p->left--;
		p->end = UINT64_MAX;
	}
}

/* Whether no page is in two slots: its parts would be neither read nor counted as missed. */
static bool prefetch_can_work(const struct prefetch *p)
{
	for (size_t i = 0; i < p->num_slots; i++) {
		if ((p->slots[i].paddr | p->slots[i].size) % p->page_size)
			return false;
	}
	return true;
}

void prefetch_begin(struct prefetch *p, pid_t pid)
{
	if (!prefetch_can_work(p))
		return;
	uffd_open(&p->uffd, pid);
	prefetch_begin_pass(p);
}

void prefetch_begin_own(struct prefetch *p)
{
	p->uffd_is_callers = true;
	prefetch_begin_pass(p);
}

struct gdump_error *prefetch_step(struct prefetch *p, bool *worked)
{
	*worked = true;
	switch (p->phase) {
	case PREFETCH_READ:
		return prefetch_read(p, worked);
	case PREFETCH_UNPROTECT:
		prefetch_unprotect(p);
		return NULL;
	case PREFETCH_WAIT:
		if (p->waited++ == STEPS_TO_EMPTY)
			prefetch_begin_pass(p);
		/* fall through */
	case PREFETCH_IDLE: case PREFETCH_DONE:
		*worked = false;
		return NULL;
	}
	return NULL;
}

void prefetch_cancel(struct prefetch *p)
{
	if (p->phase == PREFETCH_IDLE || p->phase == PREFETCH_DONE)
		return;
	if (p->phase != PREFETCH_UNPROTECT)
		prefetch_go(p, PREFETCH_UNPROTECT);
	while (p->phase == PREFETCH_UNPROTECT)
		prefetch_unprotect(p);
}

void prefetch_end(struct prefetch *p)
{
	uffd_close(&p->uffd);
	*p = (struct prefetch){ .phase = PREFETCH_IDLE };
}
