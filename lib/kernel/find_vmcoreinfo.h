/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * find_vmcoreinfo.h - find the kernel's VMCOREINFO note in memory
 *
 * For sources that have memory, but do not know the address of the note.
 */
#pragma once

#include "../machine/source.h"

/* The evidence for a note; a later value is better. */
enum vmcoreinfo_trust {
	TRUST_FORM,                     /* it has the form of one               */
	TRUST_RELEASE,                  /* its addresses lead to the kernel that it names */
	TRUST_CPU,                      /* so do the page tables that a CPU uses */
	TRUST_CRASHED,                  /* it is of the kernel that crashed, and not
					 * of the crash kernel that runs now    */
};

/* A candidate */
struct vmcoreinfo_found {
	char *text;                     /* free() it; NULL: none was found      */
	size_t size;
	uint64_t paddr;
	bool big;                       /* byte order of the note's header      */
	enum vmcoreinfo_trust trust;
	bool doubtful;                  /* different notes have the same evidence */
};

/* Read the note at @paddr, where the guest reported it to QEMU's vmcoreinfo device; false:
 * there is none.
 */
bool vmcoreinfo_at(struct source *s, uint64_t paddr, struct vmcoreinfo_found *ret);

/* Add VMCOREINFO to the image of @s, which is sealed and has none: the one at @hint (0:
 * unknown), or else one that is found in memory.  If there is none, the image is unchanged,
 * and that is no error.  Large memory that is slow to read is not searched, which is a warning
 * of the image.  Only while one thread has the source.
 */
MUST_CHECK struct gdump_error *find_vmcoreinfo(struct source *s, uint64_t hint);
