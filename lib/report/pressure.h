/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pressure.h - how much time tasks lose because they wait for memory, I/O or CPUs
 */
#pragma once

#include "report.h"

/* Add the list "pressure" with a row for each resource, and a verdict. */
void pressure_add(struct report *r, struct gdump_fact *to);
