/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * options.h - values on the command line
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <guestdump.h>

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
/* "ADDR:SIZE" or "ADDR:SIZE@OFFSET"; without it, OFFSET is ADDR.  Cuts @text. */
bool parse_extent(char *text, struct gdump_extent *ret);

/* What an input is, for commands that read files: these options, this help. */
enum { OPT_INPUT_FORMAT = 512, OPT_RANGE, OPT_STRICT, OPT_NO_CONFINE, OPT_VERBOSE = 'v', OPT_KEY = 'k' };

#define CONFINE_OPTIONS \
	{ "no-confine",   no_argument,       NULL, OPT_NO_CONFINE }, \
	{ "verbose",      no_argument,       NULL, OPT_VERBOSE }
#define INPUT_OPTIONS \
	{ "input-format", required_argument, NULL, OPT_INPUT_FORMAT }, \
	{ "range",        required_argument, NULL, OPT_RANGE }, \
	{ "key",          required_argument, NULL, OPT_KEY }, \
	{ "strict",       no_argument,       NULL, OPT_STRICT }, \
	CONFINE_OPTIONS
/* among the short options */
#define INPUT_SHORT "k:v"

#define CONFINE_HELP \
	"      --no-confine          keep all rights while reading what may be hostile\n" \
	"  -v, --verbose             report what is done and why; twice (-vv): in detail\n"
#define INPUT_HELP \
	"      --input-format NAME   what INPUT is, where its content does not tell: raw\n" \
	"      --range ADDR:SIZE[@OFFSET]\n" \
	"                            INPUT is raw and has SIZE bytes of memory from ADDR on at\n" \
	"                            OFFSET (ADDR); may be given several times\n" \
	"  -k, --key FILE            decrypt: FILE has the customer communication key of the\n" \
	"                            protected guest's owner\n" \
	"      --strict              refuse an encrypted INPUT that is not good in all parts\n" \
	CONFINE_HELP

enum { MAX_EXTENTS = 64 };

struct input {
	const char *format;
	struct gdump_extent extents[MAX_EXTENTS];
	size_t num_extents;
	const char *key_file;
	bool strict;
	bool no_confine;
	unsigned int verbosity;         /* enum gdump_debug_level; 0: none      */
};

/* Whether @opt is one of them; *good: and its value makes sense.  After --key this process
 * leaves no core file, and other processes of the same user may not look into it.
 */
bool input_take(struct input *in, int opt, char *value, bool *good);
/* @opt points into @in from then on. */
void input_apply(struct input *in, struct gdump_open_options *opt);
