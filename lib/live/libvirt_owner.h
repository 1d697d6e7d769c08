/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * libvirt_owner.h - a libvirt that crashes when its guest is dumped through another monitor
 *
 * From 8.1 on and before 10.0, libvirtd ends in a NULL pointer when QEMU reports the end of a
 * dump that libvirtd did not begin.
 */
#pragma once

#include <sys/types.h>

#include "../error.h"

/* Fail if the QEMU process @pid (0: unknown) belongs to a running libvirtd of these versions;
 * call @opt->warn if it may.  @root: "", or where a test has its /proc and /usr.
 */
MUST_CHECK struct gdump_error *libvirt_owner_check(const char *root, pid_t pid,
						   const struct gdump_open_options *opt);
