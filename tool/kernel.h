/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kernel.h - for "guestdump info": the state of the guest's kernel
 */
#pragma once

#include <jansson.h>

#include <guestdump.h>

/* Print since when it runs, whether it panicked, and what its CPUs run; with @tasks, also all
 * its tasks. Returns the exit status: it is a failure if @tasks cannot be read.
 */
int print_guest_kernel(struct gdump *g, bool tasks);
/* The same as members of @o, the object of a dump. With @tasks, the reason why they are unknown is
 * an error.
 */
GDUMP_MUST_CHECK struct gdump_error *json_guest_kernel(struct gdump *g, bool tasks, json_t *o);
