/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cmd_stacks.c - guestdump stacks
 *
 * All stacks are read before the first one is printed: a terminal or pipe must not hold up a
 * guest that is paused.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confine.h"
#include "json.h"
#include "stack.h"
#include "tool.h"

/* A copy of a stack, and of all that it points to */
struct kept_stack {
	struct gdump_stack stack;
	struct gdump_task task;
	struct gdump_frame *frames;
};

struct kept {
	struct kept_stack *list;
	size_t num, max;
	bool full;                      /* no memory for more                   */
};

static char *copy_name(const char *name, bool *full)
{
	char *copy = name ? strdup(name) : NULL;

	*full |= name && !copy;
	return copy;
}

/* Make room for one more; NULL: there is no memory. */
static struct kept_stack *kept_add(struct kept *k)
{
	if (k->num == k->max) {
		const size_t max = k->max ? 2 * k->max : 256;
		struct kept_stack *list = realloc(k->list, max * sizeof(*list));

		if (!list)
			return NULL;
		k->list = list;
		k->max = max;
	}
	memset(&k->list[k->num], 0, sizeof(*k->list));
	return &k->list[k->num++];
}

static void keep_stack(void *arg, const struct gdump_stack *stack)
{
	struct kept *k = arg;
	struct kept_stack *to = k->full ? NULL : kept_add(k);

	k->full |= !to;
	if (k->full)
		return;
	to->stack = *stack;
	to->stack.num_frames = 0;
	if (stack->task)
		to->task = *stack->task;
	to->frames = calloc(stack->num_frames + 1, sizeof(*to->frames));
	k->full |= !to->frames;
	for (size_t i = 0; to->frames && i < stack->num_frames; i++) {
		struct gdump_frame *f = &to->frames[to->stack.num_frames++];

		*f = stack->frames[i];
		f->function = copy_name(f->function, &k->full);
		f->module = copy_name(f->module, &k->full);
	}
}

/* The list has stopped growing: let the copy refer to itself. */
static void kept_settle(struct kept_stack *s)
{
	s->stack.frames = s->frames;
	if (s->stack.task)
		s->stack.task = &s->task;
}

static void kept_deinit(struct kept *k)
{
	for (size_t i = 0; i < k->num; i++) {
		for (size_t n = 0; n < k->list[i].stack.num_frames; n++) {
			free((char *)(uintptr_t)k->list[i].frames[n].function);
			free((char *)(uintptr_t)k->list[i].frames[n].module);
		}
		free(k->list[i].frames);
	}
	free(k->list);
}

static void print_owner(const struct kept_stack *s)
{
	const struct gdump_task *t = &s->task;

	if (s->stack.cpu >= 0) {
		printf("CPU %" PRId32 " runs ", s->stack.cpu);
		if (s->stack.task)
			print_escaped(t->name, strlen(t->name));
		else
			printf("an unknown task");
		if (s->stack.task)
			printf(" (%" PRId32 ")", t->pid);
	} else {
		printf("task %" PRId32 " ", t->pid);
		print_escaped(t->name, strlen(t->name));
		if (t->tgid != t->pid)
			printf(" of process %" PRId32, t->tgid);
		printf(", state %c", t->state);
	}
	printf("%s\n", !s->stack.moved ? "" :
	       s->stack.cpu >= 0 ? "; it may have run while its stack was read, see --pause" :
	       "; it ran while its stack was read");
}

static void print_stack(const struct kept_stack *s)
{
	print_owner(s);
	print_frames(&s->stack);
}

static void print_json_stack(const struct kept_stack *s)
{
	json_line(stdout, "stack", json_stack(&s->stack));
}

static struct gdump_error *read_stacks(struct gdump *g, const struct arguments *args, void *to)
{
	return gdump_stacks(g, &args->stacks, keep_stack, to);
}

int cmd_stacks(struct arguments *args)
{
	struct kept k = { .num = 0 };
	struct gdump_error *err;

	take_parts(args);
	confine(args, args->words, args->num_words, NULL);
	args->stacks.tables = tables_before_pause(args);
	err = guarded(args, read_stacks, &k);
	gdump_tables_destroy(args->stacks.tables);
	for (size_t i = 0; i < k.num; i++) {
		kept_settle(&k.list[i]);
		(args->json ? print_json_stack : print_stack)(&k.list[i]);
	}
	if (k.full)
		say("not enough memory for all stacks");
	if (!err && !k.num && !args->json && args->stacks.which == GDUMP_STACKS_BLOCKED)
		say("no task is blocked (state D)");
	kept_deinit(&k);
	return finish_stdout(err ? fail(err) : k.full ? EXIT_FAILED : EXIT_DONE);
}
