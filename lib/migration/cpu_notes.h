/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/cpu_notes.h - notes about CPUs, made from the CPUs' states in a stream
 */
#pragma once

#include "../machine/image.h"
#include "devices.h"

/* Add to @image the notes that QEMU's own dump of the same guest would have: NT_PRSTATUS for each
 * CPU, and on x86 also QEMU's notes.  If an x86 guest has not reached long mode, the machine of
 * @image becomes i386.  Adds nothing if @d has no CPUs, or those of an architecture without rules
 * here.
 */
MUST_CHECK struct gdump_error *cpu_notes_add(struct image *image, const struct devices *d);
/* Whether all notes about CPUs in @image, which is sealed, are of kinds that cpu_notes_add()
 * makes.
 */
bool cpu_notes_cover(const struct image *image);
