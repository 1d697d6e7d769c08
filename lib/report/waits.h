/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * waits.h - what a task waits for, and who holds it
 */
#pragma once

#include "report.h"
#include "wait_kind.h"

/* Where members are; they are looked up once. */
struct waits;

MUST_CHECK struct gdump_error *waits_create(struct report *r, struct waits **ret);
void waits_destroy(struct waits *w);

/* Whether a task waits for a lock, by its task_struct alone.  @ret is set in any case. */
bool wait_by_task(struct waits *w, const struct gdump_task *task, struct wait *ret);
/* The same, also by its stack */
bool wait_find(struct waits *w, const struct gdump_task *task, const struct gdump_stack *stack,
	       struct wait *ret);
/* A word for programs, and the same for people; the second one reads well after "waits for". */
const char *wait_word(enum wait_kind kind);
const char *wait_text(enum wait_kind kind);
