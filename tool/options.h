/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * options.h - values on the command line
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A number, decimal or 0x hexadecimal, with K, M, G or T behind it for powers
 * of 1024.  false: it is not one.
 */
bool parse_size(const char *text, uint64_t *ret);
/* A number in [min, max] */
bool parse_number(const char *text, long min, long max, long *ret);
/* "CODEC" or "CODEC:LEVEL"; cuts @text. */
bool parse_codec(char *text, const char **codec, int *level);
/* "0" to "31", or several such with commas between; cuts @text.  0: it is not
 * that, or more than @max; else how many.
 */
unsigned int parse_levels(char *text, unsigned int *drops, unsigned int max);
/* "zero,cache,private,user,free" */
bool parse_exclude(char *text, unsigned int *drop);
