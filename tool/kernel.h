/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kernel.h - for "guestdump info": what a guest's kernel tells of itself
 */
#pragma once

#include <jansson.h>

#include <guestdump.h>

/* Since when it runs, whether it panicked, and what its CPUs run; @tasks: and all its
 * tasks.  EXIT_DONE, or what to exit with: @tasks was asked for and cannot be had.
 */
int print_guest_kernel(struct gdump *g, bool tasks);
/* The same as members of @o, the object of a dump. */
int json_guest_kernel(struct gdump *g, bool tasks, json_t *o);
