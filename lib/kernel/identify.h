/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * identify.h - which system is in memory, where there is no VMCOREINFO
 */
#pragma once

#include "../machine/source.h"

/* Search all memory.  @ret has an empty name if nothing is recognized. */
MUST_CHECK struct gdump_error *identify_system(struct source *s, struct gdump_system *ret);

/* The length of a Linux kernel's banner, "Linux version ...", at @p; 0: there is none.  The text
 * is what is printable.
 */
size_t linux_banner_len(const unsigned char *p, size_t len);
