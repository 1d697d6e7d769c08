/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "unwind.h"

#include "../util/bits.h"
#include "../util/cleanup.h"

enum { PIECE = 4096, MAX_GUESSES = 64 };

const struct unwinder *unwinder_of(const struct kernel *k)
{
	static const struct unwinder *const rows[] = {
		&unwinder_x86_64, &unwinder_aarch64, &unwinder_riscv64, &unwinder_s390x,
		&unwinder_ppc64,
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i]->arch == k->source->image.arch)
			return rows[i];
	}
	return NULL;
}

bool walk_end(struct walk *w, enum gdump_stack_end end, uint64_t at)
{
	w->end = end;
	w->end_at = at;
	return false;
}

/* The function that contains @pc.  A call may be the last instruction of its function, so a
 * return address belongs to the byte before it.
 */
static bool walk_function(const struct walk *w, enum gdump_frame_kind kind, uint64_t pc,
			  struct text_symbol *ret)
{
	const struct text *text = &w->unwind->text;

	if (kind == GDUMP_FRAME_USER)
		return false;
	return (kind != GDUMP_FRAME_EXACT && text_at(text, pc - 1, ret)) || text_at(text, pc, ret);
}

bool walk_add(struct walk *w, enum gdump_frame_kind kind, uint64_t pc)
{
	struct text_symbol s;

	if (w->num == MAX_FRAMES)
		return walk_end(w, GDUMP_STACK_TOO_LONG, pc);
	w->frames[w->num] = (struct gdump_frame){ .kind = (int)kind, .pc = pc, .sp = w->at };
	if (walk_function(w, kind, pc, &s)) {
		struct gdump_frame *f = &w->frames[w->num];

		f->function = s.name;
		f->module = s.module ? s.module->name : NULL;
		f->offset = pc - s.vaddr;
		f->size = s.size;
	}
	w->num++;
	return true;
}

/* The end of the stack that contains @at, as far as it is known */
static uint64_t walk_top(const struct walk *w, uint64_t at)
{
	const uint64_t size = w->unwind->stack_size;

	if (w->task_stack && at - w->task_stack < size)
		return w->task_stack + size;
	/* some stack for interrupts or exceptions; its end may be before that */
	return at + size < at ? UINT64_MAX : at + size;
}

static bool walk_was_at(const struct walk *w, uint64_t at)
{
	for (unsigned int i = 0; i < w->num_visited; i++) {
		if (at >= w->visited[i].lo && at < w->visited[i].hi)
			return true;
	}
	return false;
}

/* Read the stack from @at up, in one piece if possible, else as far as it can be read. */
static bool walk_enter(struct walk *w, uint64_t at)
{
	const uint64_t top = MIN(walk_top(w, at), at + MAX_STACK);
	struct walker *walker = &w->unwind->kernel->walker;
	struct gdump_error *err;
	uint64_t hi;

	if (top - at > w->unwind->budget)
		return walk_end(w, GDUMP_STACK_TOO_LONG, at);
	w->unwind->budget -= top - at;
	err = walker_read(walker, at, w->buf, (size_t)(top - at));
	hi = err ? at : top;
	while (err && hi < top) {
		const uint64_t next = MIN(round_down(hi, PIECE) + PIECE, top);
		CLEANUP_ERROR struct gdump_error *end =
			walker_read(walker, hi, w->buf + (hi - at), (size_t)(next - hi));

		if (end)
			break;
		hi = next;
	}
	gdump_error_destroy(err);
	if (hi == at)
		return walk_end(w, GDUMP_STACK_UNREADABLE, at);
	w->lo = w->at = at;
	w->hi = hi;
	w->visited[w->num_visited].lo = at;
	w->visited[w->num_visited++].hi = hi;
	return true;
}

bool walk_move(struct walk *w, uint64_t at)
{
	if (at % 8)
		return walk_end(w, GDUMP_STACK_ASTRAY, at);
	if (w->num_visited && at > w->at && at <= w->hi) {
		w->at = at;
		return true;
	}
	if (w->num_visited == MAX_STACKS || walk_was_at(w, at))
		return walk_end(w, GDUMP_STACK_ASTRAY, at);
	return walk_enter(w, at);
}

bool walk_word(struct walk *w, uint64_t vaddr, uint64_t *ret)
{
	const struct kernel *k = w->unwind->kernel;

	if (w->num_visited && vaddr >= w->lo && range_fits(vaddr - w->lo, 8, w->hi - w->lo)) {
		*ret = kernel_get(k, w->buf + (vaddr - w->lo), 8);
		return true;
	}
	return kernel_word(w->unwind->kernel, vaddr, ret) ||
	       walk_end(w, GDUMP_STACK_UNREADABLE, vaddr);
}

bool walk_is_return(const struct walk *w, uint64_t pc)
{
	return text_has(&w->unwind->text, pc - 1) || text_has(&w->unwind->text, pc);
}

void walk_scan(struct walk *w)
{
	const uint64_t start = round_up(w->at, 8);
	unsigned int guesses = 0;

	for (uint64_t at = start; w->num_visited && at + 8 <= w->hi && guesses < MAX_GUESSES; at += 8) {
		const uint64_t pc = kernel_get(w->unwind->kernel, w->buf + (at - w->lo), 8);

		w->at = at;
		if (!walk_is_return(w, pc))
			continue;
		guesses++;
		if (!walk_add(w, GDUMP_FRAME_GUESS, pc))
			return;
	}
}
