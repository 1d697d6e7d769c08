/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "list_walk.h"

struct list_walk list_walk_begin(struct kernel *k, uint64_t head, unsigned int max)
{
	struct list_walk w = { .kernel = k, .head = head, .at = head, .left = max };

	w.broken = !kernel_word(k, head, &w.next);
	return w;
}

bool list_walk_next(struct list_walk *w, uint64_t *node)
{
	const unsigned int word = w->kernel->source->image.is64 ? 8 : 4;
	uint64_t next, prev;

	if (w->broken || w->next == w->head)
		return false;
	if (!w->left || !kernel_word(w->kernel, w->next, &next) ||
	    !kernel_word(w->kernel, w->next + word, &prev) || prev != w->at) {
		w->broken = true;
		return false;
	}
	w->left--;
	w->at = *node = w->next;
	w->next = next;
	return true;
}
