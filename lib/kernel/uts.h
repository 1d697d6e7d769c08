/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "../source.h"

/* Fill in what uname prints from the guest's memory (init_uts_ns), where
 * VMCOREINFO says where it is and the source does not know it yet.
 */
void image_read_uts(struct source *s);
