/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * metadata.h - the note that says where a dump comes from
 *
 * It is an ordinary note of the image, so formats with notes keep it, and a conversion passes
 * it on.  guestdump-formats(7) describes it.
 */
#pragma once

#include "machine/source.h"

/* Add the note to the image of a running guest.  What @given leaves open is taken from what the
 * source found out, and the time of the dump is that of the pause, or now.
 */
MUST_CHECK struct gdump_error *metadata_add(struct source *s, const struct gdump_metadata *given);
/* Remove the note, if there is one. */
MUST_CHECK struct gdump_error *metadata_remove(struct image *image);
/* Set the time in the note to that of the pause, or now.  Returns it in milliseconds since 1970;
 * 0: there is no note.
 */
uint64_t metadata_stamp(struct source *s);
/* Read the note.  @ret is all NULL and 0 if there is none, or none that can be understood; its
 * strings are in *@text, which is for free().
 */
MUST_CHECK struct gdump_error *metadata_read(const struct image *image, char **text,
					     struct gdump_metadata *ret);
