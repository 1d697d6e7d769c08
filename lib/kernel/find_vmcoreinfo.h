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
	char *rival;                    /* another text with the same evidence, or NULL; free() it */
	size_t rival_size;
};

/* The evidence for the text of a candidate */
enum vmcoreinfo_trust vmcoreinfo_rate(struct source *s, const struct vmcoreinfo_found *found);
/* Whether it is of the kernel called @kernel: its release, the id of its build, or its place,
 * as the lines OSRELEASE, BUILD-ID and KERNELOFFSET say.  "running": one that has not crashed;
 * NULL: any is.
 */
bool vmcoreinfo_is_named(const struct vmcoreinfo_found *found, const char *kernel);
/* Make it a warning of the image that there are two kernels; @result: what came of it. */
void vmcoreinfo_warn_of_two(struct source *s, const struct vmcoreinfo_found *a,
			    const struct vmcoreinfo_found *b, const char *result);

/* Read the note at @paddr, where the guest reported it to QEMU's vmcoreinfo device; false:
 * there is none.
 */
bool vmcoreinfo_at(struct source *s, uint64_t paddr, struct vmcoreinfo_found *ret);

/* Add VMCOREINFO to the image of @s, which is sealed and has none, or none of the kernel
 * s->kernel: the one at @hint (0: unknown), or else one that is found in memory.  If there is none, the image is unchanged,
 * and that is no error.  Large memory that is slow to read is not searched, which is a warning
 * of the image.  Only while one thread has the source.
 */
MUST_CHECK struct gdump_error *find_vmcoreinfo(struct source *s, uint64_t hint);
