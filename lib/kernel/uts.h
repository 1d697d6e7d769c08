/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "../machine/source.h"

/* Where VMCOREINFO says that the kernel has what uname prints: six fields of 65 bytes. */
bool uts_paddr(const struct image *image, uint64_t *paddr);

/* Fill in what uname prints from the guest's memory (init_uts_ns), where
 * VMCOREINFO says where it is and the source does not know it yet.
 */
void image_read_uts(struct source *s);
