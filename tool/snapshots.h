/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * snapshots.h - the snapshots in a file that has several
 */
#pragma once

#include "tool.h"

/* Print the snapshots in the input, as text or JSON.  False: it has no more than one, or cannot be
 * opened, and nothing was printed.
 */
bool snapshots_show(const struct arguments *args);
