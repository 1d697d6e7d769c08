/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "spans.h"

#include <stdlib.h>

#include "array.h"
#include "bisect.h"
#include "bits.h"

static uint64_t span_last(const struct span *s)
{
	return s->start + (s->size - 1);
}

bool spans_add(struct spans *s, uint64_t start, uint64_t size)
{
	struct span *last = s->num ? &s->list[s->num - 1] : NULL;

	if (!size)
		return true;
	/* usually they come in order */
	if (last && start >= last->start && start - last->start <= last->size) {
		last->size = MAX(last->size, start - last->start + size);
		return true;
	}
	if (!ARRAY_GROW(s->list, s->num))
		return false;
	s->list[s->num++] = (struct span){ start, size };
	return true;
}

static int span_compare(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

void spans_sort(struct spans *s)
{
	const size_t num = s->num;

	if (num)
		qsort(s->list, num, sizeof(*s->list), span_compare);
	s->num = 0;
	for (size_t i = 0; i < num; i++) {
		const struct span next = s->list[i];
		struct span *last = s->num ? &s->list[s->num - 1] : NULL;

		if (last && next.start - last->start <= last->size)
			last->size = MAX(last->size, next.start - last->start + next.size);
		else
			s->list[s->num++] = next;
	}
}

size_t spans_from(const struct spans *s, uint64_t at)
{
	return BISECT(s->num, i, span_last(&s->list[i]) >= at);
}

bool spans_touch(const struct spans *s, uint64_t start, uint64_t size)
{
	const size_t i = s->num ? spans_from(s, start) : 0;

	return size && i < s->num && (s->list[i].start <= start || s->list[i].start - start < size);
}

void spans_deinit(struct spans *s)
{
	free(s->list);
	*s = (struct spans){ 0 };
}
