/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * vmm.h - the programs that run guests, and what their command lines say
 */
#pragma once

#include <guestdump.h>

#include "host_process.h"

enum { VMM_MONITORS_MAX = 8 };

/* A QMP monitor that QEMU was told to have */
struct vmm_monitor {
	char path[256];                 /* of its unix socket; "": see fd       */
	int fd;                         /* the descriptor that listens; -1: none */
};

/* What a command line says; what it does not say is 0 or "". */
struct vmm_facts {
	enum gdump_guest_kind kind;
	char name[256], uuid[40];
	uint64_t memory;                /* in bytes                             */
	uint32_t cpus;
	struct vmm_monitor monitors[VMM_MONITORS_MAX];
	size_t num_monitors;
};

/* Whether @p runs a guest: then @ret says which. */
bool vmm_recognize(const struct host_process *p, struct vmm_facts *ret);

/* The value after "KEY=" in "A=B,C=D", with ",," for a comma; @first: the key of a first item
 * that has none (NULL: there is no such item). False: it is not there, or longer than @buf.
 */
bool vmm_item(const char *text, const char *key, const char *first, char *buf, size_t size);
/* Add the QMP monitors on QEMU's command line. */
void vmm_find_monitors(const struct host_process *p, struct vmm_facts *facts);
