/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "stack.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "tool.h"

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

const char *stack_end_text(const struct gdump_stack *s)
{
	return ends[s->end].text;
}

void print_frames(const struct gdump_stack *s)
{
	const char *why = stack_end_text(s);

	for (size_t i = 0; i < s->num_frames; i++)
		print_frame(&s->frames[i], !i);
	if (why && s->end_at)
		printf("    (0x%" PRIx64 ": %s)\n", s->end_at, why);
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

json_t *json_task(const struct gdump_task *t)
{
	return json_pack("{s:i, s:i, s:o, s:o, s:o, s:o, s:o}", "pid", (int)t->pid, "tgid",
			 (int)t->tgid, "state", json_text(&t->state, 1), "cpu", json_index(t->cpu),
			 "running_cpu", json_index(t->running_cpu), "address",
			 json_address(t->vaddr), "name", json_string_of(t->name));
}

json_t *json_stack(const struct gdump_stack *s)
{
	json_t *frames = json_array();

	for (size_t i = 0; i < s->num_frames; i++)
		json_array_append_new(frames, json_frame(&s->frames[i]));
	return json_pack("{s:o, s:o, s:b, s:o, s:s, s:o}", "cpu", json_index(s->cpu),
			 "task", s->task ? json_task(s->task) : json_null(),
			 "moved", s->moved, "frames", frames, "end", ends[s->end].name,
			 "end_address", s->end_at ? json_address(s->end_at) : json_null());
}
