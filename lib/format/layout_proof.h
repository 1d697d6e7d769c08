/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * layout_proof.h - whether memory is where the guest's own kernel has it
 *
 * Linux maps all of its memory in one piece, and its page tables are in memory themselves.  So if
 * memory is at wrong addresses, page tables are missing, or map what is not there.
 */
#pragma once

#include "../machine/source.h"

enum layout_proof {
	LAYOUT_UNKNOWN,                 /* there is no VMCOREINFO               */
	LAYOUT_LOST,                    /* there is, but the page tables were not found */
	LAYOUT_WRONG,                   /* they contradict                      */
	LAYOUT_SHORT,                   /* they do not map the end of memory    */
	LAYOUT_PROVEN,
};

/* Of a source whose image is sealed, while one thread has it.  VMCOREINFO is added to the image. */
MUST_CHECK struct gdump_error *layout_proof_find(struct source *s, enum layout_proof *ret);
/* If they contradict, mark the image as incomplete, with a warning. */
MUST_CHECK struct gdump_error *layout_proof_check(struct source *s);
