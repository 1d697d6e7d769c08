/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * host_guests.h - the running guests of this host
 */
#pragma once

#include "host_process.h"
#include "host_sockets.h"
#include "vmm.h"

/* A guest while the ways to it are collected; see struct guest_scheme. */
struct host_guest {
	const struct host_process *process;
	const struct host_sockets *sockets;     /* that its process may have    */
	struct vmm_facts facts;
	enum gdump_guest_state state;
	bool ask_state;
	struct gdump_guest_way *ways;   /* the strings are owned                */
	size_t num_ways;
};

/* Add a way, whose strings are copied. */
MUST_CHECK struct gdump_error *host_guest_add(struct host_guest *g,
					      const struct gdump_guest_way *way);

/* gdump_guests(); @root: "", or the directory where a test has its /proc. */
MUST_CHECK struct gdump_error *host_guests_each(const char *root,
						const struct gdump_guests_options *opt,
						gdump_host_guest_fn *fn, void *arg);
