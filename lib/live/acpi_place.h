/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * acpi_place.h - where the firmware's tables are, in memory whose addresses are unknown
 */
#pragma once

#include "../machine/source.h"

/* Guest-physical memory at @paddr is at @where of the source. */
struct acpi_place {
	uint64_t paddr, where;
};

/* Search all memory of @s, which has it at addresses other than the guest's.  *@found: there is a
 * root table that the firmware's pointer and the other tables prove, and no second one that says
 * otherwise.
 */
MUST_CHECK struct gdump_error *acpi_find_place(struct source *s, struct acpi_place *ret, bool *found);
