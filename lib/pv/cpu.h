/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cpu.h - the registers of a protected CPU: from its sealed area to notes
 */
#pragma once

#include "../machine/image.h"
#include "keys.h"

enum {
	NT_PV_CPU_DATA = 0x30e,         /* glibc's elf.h calls it NT_S390_PV_CPU_DATA */
	PV_CPU_SIZE = 1568,             /* of an area; what is behind it is padding   */
};

/* Open the area in @note to @plain, of PV_CPU_SIZE bytes, and check it. */
MUST_CHECK struct gdump_error *pv_cpu_open(struct crypto *c, const struct pv_keys *keys,
					   const struct gdump_note *note, unsigned char *plain);
/* Whether the CPU stopped inside of an instruction that the host was emulating: what that
 * changes may be old.
 */
bool pv_cpu_partial(const unsigned char *plain);
/* Add what is known of CPU @cpu as the notes that any s390x dump has.  @plain NULL: it is
 * lost; an NT_PRSTATUS of zeros keeps its place, as readers count these.
 */
MUST_CHECK struct gdump_error *pv_cpu_add_notes(struct image *image, size_t cpu,
						const unsigned char *plain);
