/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * crash_stores.h - all crashes of this host: of each store that the configuration has
 */
#pragma once

#include "crash_store.h"

struct arguments;

struct crash_stores {
	struct crash_store **stores;
	size_t num;
	struct crash_list list;         /* the crashes of all, in the order of their time */
};

/* Take the template of the command line, or those of the configuration, and list the crashes. A
 * store that cannot be read is a warning if there are others. Returns EXIT_DONE, or the status to
 * exit with, after an error message. @ret is to be released in either case.
 */
int crash_stores_open(const struct arguments *args, struct crash_stores *ret);
/* The same without messages, of the system's configuration */
void crash_stores_peek(struct crash_stores *ret);
void crash_stores_close(struct crash_stores *s);

/* How many digits of an id tell all crashes apart; at least 8 */
int crash_id_digits(const struct crash_list *list);
