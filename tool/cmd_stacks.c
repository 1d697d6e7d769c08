/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cmd_stacks.c - guestdump stacks
 *
 * All stacks are read before the first one is printed: a terminal or pipe must not hold up a
 * guest that is paused.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confine.h"
#include "json.h"
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

/* Names of enum gdump_frame_kind and enum gdump_stack_end, for programs and for people */
static const char *const kinds[] = { "call", "exact", "guess", "user" };

static const struct {
	const char *name, *text;        /* printf formats of end_at; NULL: nothing to say */
} ends[] = {
	[GDUMP_STACK_COMPLETE] = { "complete", NULL },
	[GDUMP_STACK_USER] = { "user", NULL },
	[GDUMP_STACK_NONE] = { "none", "the task has ended and has no stack" },
	[GDUMP_STACK_NO_REGISTERS] = { "no-registers", "the registers of the CPU are not in the dump" },
	[GDUMP_STACK_UNSUPPORTED] = { "unsupported", "guestdump cannot follow the stacks of this kernel" },
	[GDUMP_STACK_UNREADABLE] = { "unreadable", "the memory at this address is missing" },
	[GDUMP_STACK_NOT_CODE] = { "not-code", "the return address is not in the kernel" },
	[GDUMP_STACK_NO_TABLE] = { "no-table", "the kernel does not describe the frame of this function" },
	[GDUMP_STACK_ASTRAY] = { "astray", "the next frame is not further up the stack" },
	[GDUMP_STACK_TOO_LONG] = { "too-long", "there may be more frames" },
};

static void print_frame(const struct gdump_frame *f, bool is_first)
{
	printf("    %s", f->kind == GDUMP_FRAME_GUESS ? "? " : "");
	if (f->kind == GDUMP_FRAME_USER)
		printf("user space ");
	if (f->function) {
		print_escaped(f->function, strlen(f->function));
		printf("+0x%" PRIx64 "/0x%" PRIx64, f->offset, f->size);
	} else {
		printf("0x%" PRIx64, f->pc);
	}
	if (f->module) {
		printf(" [");
		print_escaped(f->module, strlen(f->module));
		printf("]");
	}
	printf("%s\n", f->kind == GDUMP_FRAME_EXACT && !is_first ? "  <- interrupted here" : "");
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
	const char *why = ends[s->stack.end].text;

	print_owner(s);
	for (size_t i = 0; i < s->stack.num_frames; i++)
		print_frame(&s->frames[i], !i);
	if (why && s->stack.end_at)
		printf("    (0x%" PRIx64 ": %s)\n", s->stack.end_at, why);
	else if (why)
		printf("    (%s)\n", why);
}

static json_t *json_frame(const struct gdump_frame *f)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "kind", kinds[f->kind],
			 "address", json_address(f->pc),
			 "stack", f->sp ? json_address(f->sp) : json_null(),
			 "function", json_string_of(f->function),
			 "offset", f->function ? json_count(f->offset) : json_null(),
			 "size", f->function ? json_count(f->size) : json_null(),
			 "module", json_string_of(f->module));
}

static json_t *json_owner(const struct gdump_task *t)
{
	return json_pack("{s:i, s:i, s:s#, s:o, s:o, s:o, s:o}", "pid", (int)t->pid,
			 "tgid", (int)t->tgid, "state", &t->state, 1, "cpu", json_index(t->cpu),
			 "running_cpu", json_index(t->running_cpu), "address", json_address(t->vaddr),
			 "name", json_text(t->name, strlen(t->name)));
}

static void print_json_stack(const struct kept_stack *s)
{
	json_t *frames = json_array();

	for (size_t i = 0; i < s->stack.num_frames; i++)
		json_array_append_new(frames, json_frame(&s->frames[i]));
	json_line(stdout, "stack", json_pack(
		"{s:o, s:o, s:b, s:o, s:s, s:o}", "cpu", json_index(s->stack.cpu),
		"task", s->stack.task ? json_owner(&s->task) : json_null(),
		"moved", s->stack.moved, "frames", frames, "end", ends[s->stack.end].name,
		"end_address", s->stack.end_at ? json_address(s->stack.end_at) : json_null()));
}

/* Read the stacks, and let the guest run again. */
static struct gdump_error *read_stacks(const struct arguments *args, struct kept *k)
{
	struct gdump_error *err, *failed;
	struct gdump *g;

	err = gdump_open(args->words[0], &args->open, &g);
	if (err)
		return err;
	err = gdump_stacks(g, &args->stacks, keep_stack, k);
	failed = gdump_resume(g);
	gdump_close(g);
	if (!err)
		return failed;
	gdump_error_destroy(failed);
	return err;
}

/* The same for a guest that is paused, beside a process that resumes it if we are killed */
static struct gdump_error *read_paused_stacks(struct arguments *args, struct kept *k)
{
	struct gdump_error *err;

	args->open.guard_fd = guard_start();
	stderr_defer();
	signals_defer_stop();
	err = read_stacks(args, k);
	signals_allow_stop();
	guard_stop(args->open.guard_fd);
	stderr_settle();
	return err;
}

int cmd_stacks(struct arguments *args)
{
	const bool pauses = args->open.pause_guest && is_guest(args->words[0]);
	struct kept k = { .num = 0 };
	struct gdump_error *err;

	confine(args, args->words, 1, NULL);
	err = pauses ? read_paused_stacks(args, &k) : read_stacks(args, &k);
	for (size_t i = 0; i < k.num; i++)
		(args->json ? print_json_stack : print_stack)(&k.list[i]);
	if (k.full)
		say("not enough memory for all stacks");
	kept_deinit(&k);
	return finish_stdout(err ? fail(err) : k.full ? EXIT_FAILED : EXIT_DONE);
}
