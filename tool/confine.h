/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * confine.h - give up unneeded rights before untrusted data is read
 *
 * Every byte of a dump file may have been chosen by an attacker. Should one of them exploit a
 * bug, the attacker gets our rights: so we give up most of them first.
 *
 *   files   with Landlock (Linux 5.13): may read INPUT and what libraries need, may write in
 *           the directory of OUTPUT; no network
 *   calls   with seccomp: no new programs, no access to other processes, no new sockets, no
 *           changes to the system
 *
 * Reading a running guest means reading another process, which Landlock always forbids; then
 * only the second part applies, without the calls that the guest needs. Where the kernel
 * supports none of this, nothing happens; -v reports that.
 */
#pragma once

#include "arguments.h"

/* Keep only the rights to read the @num_inputs files @inputs, or the guest that the first one
 * names, and the key, and to write @to (NULL: nothing). Call it before any thread is started.
 */
void confine(struct arguments *args, char *const *inputs, int num_inputs, const char *to);
