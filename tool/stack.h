/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * stack.h - how stacks and tasks are printed
 */
#pragma once

#include <jansson.h>

#include <guestdump.h>

/* A line for each frame, and one that says why there are no more, if that is unusual */
void print_frames(const struct gdump_stack *stack);
/* Why there are no more frames; NULL: that is usual. */
const char *stack_end_text(const struct gdump_stack *stack);
/* The members of an object of type "stack" */
json_t *json_stack(const struct gdump_stack *stack);
json_t *json_task(const struct gdump_task *task);
