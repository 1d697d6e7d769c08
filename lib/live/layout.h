/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * layout.h - where the memory of a guest is in a process, as the guest's kernel says
 */
#pragma once

#include "../util/debug.h"
#include "memory_map.h"

/* Find it for a Linux kernel of @machine (ELF e_machine; x86-64 only); @kernel: see
 * gdump_open_options.  @ret is verified: all page tables of the kernel lie in it.
 */
MUST_CHECK struct gdump_error *layout_find(struct procmem *mem, uint16_t machine, const char *kernel,
					   const struct debug *debug, struct memory_map *ret);
