/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * crash_template.h - the template for the directory of a crash
 *
 * It is an absolute path with these words: %n is the name of the guest, made safe for a path; %% is
 * a percent sign; some of strftime()'s words stand for the time of the crash on this host. The
 * directories up to the first component with a word are the root: below it, guestdump creates and
 * removes directories.
 */
#pragma once

#include <stdint.h>

#include "values.h"

#define CRASH_TEMPLATE "/var/crash/guestdump/%n/%Y-%m-%dT%H:%M:%S"

enum { CRASH_DEPTH = 8 };               /* components below the root at most    */

/* const char *: a template. Its mistakes are reported with the place. */
parse_fn parse_crash_template;

/* The root, to be freed; NULL: no memory */
char *crash_template_root(const char *template);
/* The path below the root for a crash of @guest at @time, in seconds since 1970. No component begins
 * with a dot that @template does not have, none is longer than a file system allows, and none ends
 * in a suffix of crash_store.h. To be freed; NULL: no memory
 */
char *crash_template_expand(const char *template, const char *guest, int64_t time);
