/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * host_memory.h - how much more memory a process can have
 */
#pragma once

#include <sys/types.h>

#include "../error.h"

/* The least of what the host has available and what the process's control groups (version 1
 * and 2) still allow */
struct host_memory {
	uint64_t available;             /* bytes; UINT64_MAX: unknown           */
	char group[256];                /* the control group that sets it; "": the host does */
};

/* Find it out for process @pid.  @root: in front of /proc and the mount points, for tests; else
 * "".
 */
void host_memory_of(const char *root, pid_t pid, struct host_memory *ret);
/* An error with both numbers if process @pid cannot have @need bytes more: GDUMP_ERR_REMOTE */
MUST_CHECK struct gdump_error *host_memory_check(const struct host_memory *m, uint64_t need);
/* Whether anonymous memory that is only read takes memory, as it does on some hosts: elsewhere
 * it is all the kernel's page of zeros.
 */
bool host_memory_reading_allocates(void);
