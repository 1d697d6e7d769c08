/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * elf.h - what the reader and the writer of ELF cores share
 */
#pragma once

#include "elf_header.h"
#include "file_proof.h"
#include "format.h"
#include "pieces.h"

/* If @inner, the source of file @in with headers @h, is of a protected guest, put another
 * one around it that can decrypt; else @ret is @inner.  On error @inner is still the
 * caller's.
 */
MUST_CHECK struct gdump_error *elf_protected(struct source *inner, struct bytes *in,
					     const struct elf_header *h, struct source **ret);

/* Add what the section headers name to @to.  @incomplete: they, or a section, are not in the file. */
MUST_CHECK struct gdump_error *elf_sections_name(struct bytes *in, const struct elf_header *h,
						 struct file_proof *to, bool *incomplete);

/* Whether the notes of an image, which is not sealed, are those of a core of VirtualBox */
bool elf_is_vbox(const struct image *image);
/* Then: put notes that other tools know in their place. */
MUST_CHECK struct gdump_error *elf_take_vbox(struct image *image);

bool elf_takes_trailer(const struct image *image);
struct gdump_error *elf_create(const struct write_spec *spec, struct writer **ret);
/* Where a writer of elf_create() has memory in the file: ascending by address and by offset. */
const struct pieces *elf_pieces(const struct writer *writer);
