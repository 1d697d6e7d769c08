/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * aarch64_cpu.h - the general registers of an aarch64 CPU, and the note that holds them
 */
#pragma once

#include "../machine/image.h"

struct aarch64_cpu {
	uint64_t x[31], sp_el0, sp_el1, pc, pstate;
};

/* Add NT_PRSTATUS of CPU number @n. */
MUST_CHECK struct gdump_error *aarch64_cpu_add_notes(const struct aarch64_cpu *cpu, size_t n,
						     struct image *image);
