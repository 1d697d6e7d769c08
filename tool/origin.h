/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * origin.h - what a dump says about where it comes from
 */
#pragma once

#include <guestdump.h>

/* Call it first, with the arguments of main(): the parser moves them. */
void origin_init(int argc, char **argv);
/* This host, this program and its command line, for gdump_open_options.metadata */
const struct gdump_metadata *origin(void);
/* Print what a dump says, or what is known of a running guest, which was not dumped. */
void origin_print(const struct gdump_metadata *m, bool is_guest);
