/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * inject.h - a system call that another process makes for us
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../error.h"

/* Whether that is possible on this machine */
extern const bool inject_works;

/* A system call without buffers */
struct inject_call {
	long number;
	uint64_t args[3];
	int64_t result;                 /* or -errno                            */
};

/* Have thread @tid make the call.  It is in a stop of PTRACE_INTERRUPT, and this thread traces it.
 * Afterwards it is as it was, also after an error; and if this process ends in the middle, the
 * thread itself gets back to where it was.  GDUMP_ERR_UNSUPPORTED: not this thread, or no thread.
 */
MUST_CHECK struct gdump_error *inject_run(pid_t tid, struct inject_call *call);
