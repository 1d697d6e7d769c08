/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "inject.h"

const bool inject_works = false;

struct gdump_error *inject_run(pid_t tid, struct inject_call *call)
{
	(void)tid, (void)call;
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "system calls in other processes are possible only on x86-64");
}
