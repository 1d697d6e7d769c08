/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * guests.h - running guests by the names and processes that guestdump guests lists
 */
#pragma once

#include <jansson.h>

#include "arguments.h"

/* If the first operand of @args is neither a file nor a name with a scheme, but the name, the UUID
 * or the process of a running guest of this host, replace it by the best way to that guest. An
 * error, after a message: it is that of several guests, or of one that cannot be reached.
 * Returns EXIT_DONE or the exit status.
 */
int guests_resolve(struct arguments *args);

/* Lines for people: by which names that guest can be opened, of which @where is taken, and with @why
 * what does not work; "" if @where is not the name of a guest of this host.  Call it before the
 * guest is opened, which then is in use.  free() it; NULL: no memory.
 */
char *guests_ways(const char *where, bool why);
/* The same as an array, whose members say in "taken" which one is; null if it is not the name of a guest of
 * this host.
 */
json_t *guests_ways_json(const char *where);
