/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * wait_entry.c - the page or the bit that a task waits for
 *
 * The task has a struct on its stack that names it and contains an entry of a wait queue.  The
 * entry points to the task and to the function that will wake it, and is in a ring as long as the
 * task waits, which tells it from what remains of an earlier wait.
 *
 * Facts: Linux's mm/filemap.c, include/linux/pagemap.h and include/linux/wait_bit.h.
 */
#include "wait_entry.h"

#include "../util/bits.h"

static const struct entry_form {
	enum wait_kind kind;
	const char *waiter;             /* the struct on the stack              */
	const char *entry;              /* members of it: the entry,            */
	const char *objects[2];         /* what is waited for, by its names,    */
	const char *bit;                /* and the number of a bit              */
	const char *function;           /* in the entry                         */
} entry_forms[] = {
	/* "folio" since Linux 5.16 */
	{ WAIT_PAGE, "wait_page_queue", "wait", { "folio", "page" }, "bit_nr", "wake_page_function" },
	{ WAIT_BIT, "wait_bit_queue_entry", "wq_entry", { "key.flags" }, "key.bit_nr",
	  "wake_bit_function" },
	{ WAIT_NFS, "wait_bit_queue_entry", "wq_entry", { "key.flags" }, "key.bit_nr",
	  "wake_bit_function" },
};

static bool entry_waits(struct kernel *k, uint64_t entry, const char *function)
{
	const uint64_t wakes = kernel_symbol(k, function);
	const unsigned int word = k->source->image.is64 ? 8 : 4;
	struct btf_field ring;
	uint64_t fn, next, prev;

	return wakes && btf_field(&k->btf, "wait_queue_entry", "entry", &ring) &&
	       kernel_member(k, entry, "wait_queue_entry", "func", &fn) && fn == wakes &&
	       kernel_word(k, entry + ring.off, &next) && next != entry + ring.off &&
	       kernel_word(k, next + word, &prev) && prev == entry + ring.off;
}

static bool entry_read(struct kernel *k, const struct entry_form *form, uint64_t waiter,
		       struct wait *ret)
{
	uint64_t bit;

	if (!kernel_member(k, waiter, form->waiter, form->bit, &bit) || bit > 63)
		return false;
	ret->bit = (uint32_t)bit;
	for (size_t i = 0; i < ARRAY_SIZE(form->objects) && form->objects[i]; i++) {
		if (kernel_member(k, waiter, form->waiter, form->objects[i], &ret->lock))
			return true;
	}
	return false;
}

bool wait_entry_find(struct wait_words *words, uint64_t task, struct wait *wait)
{
	struct kernel *k = words->kernel;
	const struct entry_form *form = entry_forms;
	struct btf_field entry, owner;

	while (form < entry_forms + ARRAY_SIZE(entry_forms) && form->kind != wait->kind)
		form++;
	if (form == entry_forms + ARRAY_SIZE(entry_forms) ||
	    !btf_field(&k->btf, form->waiter, form->entry, &entry) ||
	    !btf_field(&k->btf, "wait_queue_entry", "private", &owner))
		return false;
	for (size_t i = 0; i < words->num; i++) {
		const uint64_t at = wait_words_vaddr(words, i) - owner.off;

		if (wait_words_at(words, i) == task && entry_waits(k, at, form->function) &&
		    entry_read(k, form, at - entry.off, wait))
			return true;
	}
	return false;
}
