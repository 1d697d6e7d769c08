/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * wait_entry.h - the page or the bit that a task waits for
 */
#pragma once

#include "wait_kind.h"
#include "wait_words.h"

/* @wait->kind is known: find @wait->lock and @wait->bit by an entry of a wait queue on the stack
 * of @task (its address).  False: it is no kind of that sort, or there is no such entry.
 */
bool wait_entry_find(struct wait_words *words, uint64_t task, struct wait *wait);
