/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * uts.h - what uname prints in the guest
 */
#pragma once

#include "../machine/source.h"

/* The address of struct new_utsname, six fields of UTS_LEN bytes, by VMCOREINFO; false: not
 * known.
 */
bool uts_paddr(const struct image *image, uint64_t *paddr);

/* Set version and nodename of the image from the guest's memory (init_uts_ns), unless they
 * are set or cannot be found.  Only while one thread has the source.
 */
void image_read_uts(struct source *s);
