/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * guests.c - the running guests of this host
 */
#include "args.h"
#include "live/host_guests.h"

struct gdump_error *gdump_guests(const struct gdump_guests_options *options,
				 gdump_host_guest_fn *fn, void *arg)
{
	struct gdump_guests_options opt = { 0 };
	struct gdump_error *err;

	err = args_take(&opt, sizeof(opt), options,
			ARGS_LEAST(struct gdump_guests_options, ask_state), "gdump_guests_options");
	return err ? err : host_guests_each("", &opt, fn, arg);
}
