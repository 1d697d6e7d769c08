/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * choose_vmcoreinfo.h - which of several kernels a dump is about
 */
#pragma once

#include "../machine/source.h"

/* After the image was sealed, and with memory that can be read: choose VMCOREINFO among the
 * notes, or if there is none, or none of s->kernel, find it in memory; @hint as for
 * find_vmcoreinfo().  Several kernels of which nothing proves one are a warning of the image.
 * GDUMP_ERR_USAGE: there is no kernel s->kernel.
 */
MUST_CHECK struct gdump_error *choose_vmcoreinfo(struct source *s, uint64_t hint);
