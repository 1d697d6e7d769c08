/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "facts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"

enum { BLOCK = 64 << 10, ALIGN = 16, MAX_TEXT = 4096 };

/* Memory of a tree comes from blocks, which are freed together. */
struct facts_block {
	struct facts_block *next;
	size_t size, used;
	unsigned char *data;
};

struct fact {
	struct gdump_fact public;       /* the first member                     */
	struct facts *facts;
	struct fact *last;              /* of the children                      */
};

struct facts {
	struct facts_block *blocks;
	size_t left;                    /* bytes that still fit                 */
	bool is_full;                   /* something did not                    */
	bool no_memory;
	struct fact root;
};

static struct fact *fact_of(const struct gdump_fact *f)
{
	return (struct fact *)(uintptr_t)f;
}

static struct facts_block *facts_add_block(struct facts *t, size_t size)
{
	struct facts_block *b = malloc(sizeof(*b) + ALIGN + size);

	t->no_memory |= !b;
	if (!b)
		return NULL;
	*b = (struct facts_block){ .next = t->blocks, .size = size };
	b->data = (unsigned char *)(b + 1);
	b->data += round_up((uintptr_t)b->data, ALIGN) - (uintptr_t)b->data;
	t->blocks = b;
	return b;
}

/* Zeroed memory that lives as long as the tree; NULL: it is full. */
static void *facts_alloc(struct facts *t, size_t size)
{
	const size_t need = round_up(size, (size_t)ALIGN);
	struct facts_block *b = t->blocks;
	void *p;

	if (need > t->left) {
		t->is_full = true;
		return NULL;
	}
	if (!b || need > b->size - b->used)
		b = facts_add_block(t, MAX(need, BLOCK));
	if (!b)
		return NULL;
	p = b->data + b->used;
	b->used += need;
	t->left -= need;
	return memset(p, 0, size);
}

static char *facts_copy(struct facts *t, const char *text, size_t len)
{
	char *copy = facts_alloc(t, len + 1);

	if (copy)
		memcpy(copy, text, len);
	return copy;
}

struct gdump_error *facts_create(const char *name, struct gdump_fact **ret)
{
	struct facts *t = calloc(1, sizeof(*t));

	if (!t)
		return error_nomem();
	t->root.facts = t;
	t->root.public.name = name;
	t->root.public.kind = GDUMP_FACT_GROUP;
	*ret = &t->root.public;
	return NULL;
}

void gdump_fact_destroy(const struct gdump_fact *root)
{
	struct facts *t = root ? fact_of(root)->facts : NULL;

	while (t && t->blocks) {
		struct facts_block *b = t->blocks;

		t->blocks = b->next;
		free(b);
	}
	free(t);
}

struct gdump_error *facts_check(const struct gdump_fact *root)
{
	return fact_of(root)->facts->no_memory ? error_nomem() : NULL;
}

bool facts_limit(const struct gdump_fact *root, size_t size)
{
	struct facts *t = fact_of(root)->facts;
	const bool was_full = t->is_full;

	t->left = size;
	t->is_full = false;
	return was_full;
}

static struct gdump_fact *fact_add(struct gdump_fact *above, const char *name, int kind)
{
	struct fact *a = above ? fact_of(above) : NULL;
	struct fact *f = a ? facts_alloc(a->facts, sizeof(*f)) : NULL;

	if (!f)
		return NULL;
	f->facts = a->facts;
	f->public.name = name;
	f->public.kind = kind;
	if (a->last)
		a->last->public.next = &f->public;
	else
		a->public.children = &f->public;
	a->last = f;
	return &f->public;
}

struct gdump_fact *fact_group(struct gdump_fact *above, const char *name)
{
	return fact_add(above, name, GDUMP_FACT_GROUP);
}

struct gdump_fact *fact_list(struct gdump_fact *above, const char *name)
{
	return fact_add(above, name, GDUMP_FACT_LIST);
}

struct gdump_fact *fact_number(struct gdump_fact *above, const char *name, uint64_t number,
			       enum gdump_unit unit)
{
	struct gdump_fact *f = fact_add(above, name, GDUMP_FACT_NUMBER);

	if (f) {
		f->number = number;
		f->unit = (int)unit;
	}
	return f;
}

struct gdump_fact *fact_flag(struct gdump_fact *above, const char *name, bool is_so)
{
	struct gdump_fact *f = fact_add(above, name, GDUMP_FACT_FLAG);

	if (f)
		f->number = is_so;
	return f;
}

struct gdump_fact *fact_address(struct gdump_fact *above, const char *name, uint64_t address)
{
	struct gdump_fact *f = fact_add(above, name, GDUMP_FACT_ADDRESS);

	if (f)
		f->number = address;
	return f;
}

struct gdump_fact *fact_guest_text(struct gdump_fact *above, const char *name, const char *text,
				   size_t len)
{
	char *copy = above ? facts_copy(fact_of(above)->facts, text, strnlen(text, len)) : NULL;
	struct gdump_fact *f = copy ? fact_add(above, name, GDUMP_FACT_TEXT) : NULL;

	if (f)
		f->text = copy;
	return f;
}

struct gdump_fact *fact_text(struct gdump_fact *above, const char *name, const char *fmt, ...)
{
	char buf[MAX_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	return fact_guest_text(above, name, buf, sizeof(buf));
}

/* The names of frames belong to the kernel's tables, which are freed earlier. */
static struct gdump_stack *facts_copy_stack(struct facts *t, const struct gdump_stack *from)
{
	struct gdump_stack *to = facts_alloc(t, sizeof(*to));
	struct gdump_frame *frames = facts_alloc(t, from->num_frames * sizeof(*frames));
	struct gdump_task *task = from->task ? facts_alloc(t, sizeof(*task)) : NULL;

	if (!to || !frames || (from->task && !task))
		return NULL;
	*to = *from;
	to->frames = frames;
	to->task = task;
	if (task)
		*task = *from->task;
	for (size_t i = 0; i < from->num_frames; i++) {
		struct gdump_frame *f = &frames[i];

		*f = from->frames[i];
		if (f->function)
			f->function = facts_copy(t, f->function, strlen(f->function));
		if (f->module)
			f->module = facts_copy(t, f->module, strlen(f->module));
	}
	return to;
}

struct gdump_fact *fact_stack(struct gdump_fact *above, const char *name,
			      const struct gdump_stack *stack)
{
	struct gdump_stack *copy = above ? facts_copy_stack(fact_of(above)->facts, stack) : NULL;
	struct gdump_fact *f = copy ? fact_add(above, name, GDUMP_FACT_STACK) : NULL;

	if (f)
		f->stack = copy;
	return f;
}

const struct gdump_fact *fact_find(const struct gdump_fact *above, const char *name)
{
	const struct gdump_fact *f = above ? above->children : NULL;

	while (f && strcmp(f->name, name))
		f = f->next;
	return f;
}

void fact_sort(struct gdump_fact *above)
{
	struct fact *a = above ? fact_of(above) : NULL;
	const struct gdump_fact *rest = a ? a->public.children : NULL, *next;

	if (!a)
		return;
	a->public.children = NULL;
	a->last = NULL;
	for (; rest; rest = next) {
		const struct gdump_fact **at = &a->public.children;

		next = rest->next;
		while (*at && (*at)->number <= rest->number)
			at = &fact_of(*at)->public.next;
		fact_of(rest)->public.next = *at;
		*at = rest;
		if (!rest->next)
			a->last = fact_of(rest);
	}
}
