/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cpu.h - the registers of a protected CPU: from its encrypted area to notes
 */
#pragma once

#include "../machine/image.h"
#include "keys.h"

enum {
	NT_PV_CPU_DATA = 0x30e,         /* glibc's elf.h calls it NT_S390_PV_CPU_DATA */
	PV_CPU_SIZE = 1568,             /* of an area; padding follows          */
};

/* Check the area in @note, and decrypt it to @plain, of PV_CPU_SIZE bytes. */
MUST_CHECK struct gdump_error *pv_cpu_open(struct crypto *c, const struct pv_keys *keys,
					   const struct gdump_note *note, unsigned char *plain);
/* Whether the CPU stopped inside an instruction that the host was emulating, so that its
 * results may be missing.
 */
bool pv_cpu_partial(const unsigned char *plain);
/* Add the notes of CPU @cpu that any s390x dump has.  @plain NULL: the registers are lost; an
 * NT_PRSTATUS of zeros is added, because readers count these.
 */
MUST_CHECK struct gdump_error *pv_cpu_add_notes(struct image *image, size_t cpu,
						const unsigned char *plain);
