/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * deadlock.h - tasks that wait for each other in a circle
 */
#pragma once

#include <stddef.h>

/* @waits_for[i]: the number of the one that i waits for, or DEADLOCK_NONE.  Find the next circle
 * that begins at *@from or later, and advance *@from.  @mark has @num zeros at first.  Returns one
 * number of the circle, or DEADLOCK_NONE; each circle is found once.
 */
#define DEADLOCK_NONE ((size_t)-1)
size_t deadlock_next(const size_t *waits_for, size_t num, size_t *mark, size_t *from);
