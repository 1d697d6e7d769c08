/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * confine.h - give up what a command does not need, before it reads what strangers wrote
 *
 * Of a dump file every byte may have been chosen by somebody else.  Should one of them
 * make us do what it wants, then it has our rights: so these are laid down first.
 *
 *   files   with Landlock (Linux 5.13): reads INPUT and what libraries read for
 *           themselves, writes in the directory of OUTPUT; no network
 *   calls   with seccomp: no new program, no look into other processes, no new sockets,
 *           no changes to the system
 *
 * To read a running guest is to look into another process, which Landlock forbids to all
 * that it confines; there only the second part is done, without what the guest needs.
 * Where the kernel has none of this, nothing happens; -v reports that.
 */
#pragma once

#include "arguments.h"

/* Before any thread is started and after all else is opened: go on with the rights to read
 * the @num_inputs files @inputs, or the guest that the first one names, and the key, and to
 * write @to (NULL: nothing).
 */
void confine(struct arguments *args, char *const *inputs, int num_inputs, const char *to);
