/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * list_walk.h - the rings of struct list_head in the guest's kernel
 *
 *     struct list_walk walk = list_walk_begin(k, head, 10000);
 *     uint64_t node;
 *
 *     while (list_walk_next(&walk, &node))
 *             ... the struct that contains the node at @node ...
 *     if (walk.broken) ... it did not come back to @head
 *
 * Both pointers of each node are checked, so a walk cannot run in a circle.
 */
#pragma once

#include "kernel.h"

struct list_walk {
	struct kernel *kernel;
	uint64_t head, at, next;
	unsigned int left;              /* nodes that it may still visit        */
	bool broken;
};

/* The ring whose head is at @head, and that has at most @max nodes */
struct list_walk list_walk_begin(struct kernel *k, uint64_t head, unsigned int max);
/* The address of the next node; false: that was the last one, or the ring is broken. */
bool list_walk_next(struct list_walk *w, uint64_t *node);
