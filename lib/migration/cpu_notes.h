/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/cpu_notes.h - CPU notes from the states of CPUs in a stream
 */
#pragma once

#include "../machine/image.h"
#include "devices.h"

/* Add the notes that QEMU's own dump of the same guest would have: NT_PRSTATUS of
 * each CPU, and on x86 QEMU's notes.  Sets the machine of an x86 guest that has not
 * reached long mode to i386.  Where the state is missing or of another
 * architecture, nothing is added.
 */
MUST_CHECK struct gdump_error *cpu_notes_add(struct image *image, const struct devices *d);
/* Whether it would give all notes of CPUs that @image, which is sealed, has. */
bool cpu_notes_cover(const struct image *image);
