/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * rights.h - why we may not read another process
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "../error.h"

/* The error for @errnum, met when reading the memory of process @pid: names the
 * right that is missing, as far as it can be found out.
 */
struct gdump_error *rights_explain(pid_t pid, int errnum);
/* Whether process @pid may use userfaultfd(2) also for what the kernel writes; true if we cannot see. */
bool rights_may_uffd(pid_t pid);
/* Why process @pid, which is QEMU, may not use userfaultfd(2), and what helps; NULL: it may, or we cannot see it. */
struct gdump_error *rights_explain_uffd(pid_t pid);
