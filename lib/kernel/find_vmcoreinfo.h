/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * find_vmcoreinfo.h - the kernel's VMCOREINFO note, found in its memory
 *
 * For sources that have memory but nobody who told where the note is.
 */
#pragma once

#include "../machine/source.h"

/* How much speaks for a note; what comes later is better. */
enum vmcoreinfo_trust {
	TRUST_FORM,                     /* it looks like one                    */
	TRUST_RELEASE,                  /* it leads to the kernel that it names */
	TRUST_CPU,                      /* a CPU's own page tables do as well   */
	TRUST_CRASHED,                  /* of the kernel that crashed, where a
					 * crash kernel was started since       */
};

/* A note that may be it. */
struct vmcoreinfo_found {
	char *text;                     /* freed by whoever has it; NULL: none  */
	size_t size;
	uint64_t paddr;
	bool big;                       /* the order of the note's numbers      */
	enum vmcoreinfo_trust trust;
	bool doubtful;                  /* others that say something else as well */
};

/* Whether the note is at @paddr, as the guest told QEMU's vmcoreinfo device. */
bool vmcoreinfo_at(struct source *s, uint64_t paddr, struct vmcoreinfo_found *ret);

/* Give the image of @s, which is sealed and has no VMCOREINFO, the one that is at
 * @hint (0: not known) or is found in its memory.  Not finding any is no error.
 */
MUST_CHECK struct gdump_error *find_vmcoreinfo(struct source *s, uint64_t hint);
