/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * values.h - parsers for the values of options
 *
 * A parser stores the meaning of @text at @to, a pointer to a type that depends on the parser.
 * It may keep pointers into @text, which it does not change. If a piece of the text is wrong, it
 * returns false and reports that piece and what was expected instead.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <guestdump.h>

/* "'PIECE' is not WANTED" */
struct bad_value {
	const char *piece;              /* not terminated                       */
	int len;
	const char *wanted;
};

typedef bool parse_fn(const char *text, void *to, struct bad_value *bad);

/* "CODEC" or "CODEC:LEVEL" */
struct codec_choice {
	char name[32];                  /* "": the format's default             */
	bool has_level;
	int level;
};

/* Dump levels, to be tried one after the other; all of them omit @exclude as well. */
struct level_list {
	unsigned int levels[32];
	size_t num;                     /* 0: just level 0                      */
	unsigned int exclude;           /* enum gdump_drop                      */
};

struct extent_list {
	struct gdump_extent extents[64];
	size_t num;
};

parse_fn parse_flag;            /* bool: becomes true; ignores @text            */
parse_fn parse_count;           /* unsigned int: increments it; ignores @text   */
parse_fn parse_text;            /* const char *: any text                       */
parse_fn parse_format;          /* const char *: any text that is not an option */
parse_fn parse_size;            /* uint64_t: decimal or 0x; K, M, G, T are powers of 1024 */
parse_fn parse_length;          /* the same, above 0                            */
parse_fn parse_threads;         /* unsigned int                                 */
parse_fn parse_files;           /* unsigned int                                 */
parse_fn parse_seconds;         /* unsigned int: becomes milliseconds           */
parse_fn parse_duration;        /* uint64_t, milliseconds: "90", "5s", "1h 30min", as in systemd.time(7) */
parse_fn parse_boolean;         /* bool: yes, no, true, false, on, off, 1 or 0  */
parse_fn parse_whole;           /* unsigned int: from 0 on                      */
parse_fn parse_positive;        /* unsigned int: from 1 on                      */
parse_fn parse_job;             /* long: the number of a job                    */
parse_fn parse_process;         /* long: the number of a process                */
parse_fn parse_memory;          /* struct extent_list: ADDR:SIZE, once          */
parse_fn parse_codec;           /* struct codec_choice                          */
parse_fn parse_levels;          /* struct level_list: a list such as "11,31"; the last one counts */
parse_fn parse_exclude;         /* struct level_list: adds a list such as "user,free" */
parse_fn parse_extent;          /* struct extent_list: adds "ADDR:SIZE[@OFFSET]" */
parse_fn parse_stacks;          /* struct gdump_stacks_options: "all" or "blocked" */
parse_fn parse_task;            /* the same: the number of a task               */
parse_fn parse_cpu;             /* the same: the number of a CPU                */
parse_fn parse_sections;        /* const char *: a list of sections of a report, such as "cpus,log" */
parse_fn parse_mount_options;   /* bool: becomes true if the list has allow_other */
parse_fn parse_live;            /* int, enum gdump_live: NULL or "try"          */
parse_fn parse_key;             /* const char *: the name of a file with a key. From then on,
				 * this process leaves no core file, and other processes of the
				 * same user cannot inspect it                  */

/* The whole of @text in [min, max] */
bool parse_number(const char *text, long min, long max, long *ret);

/* The name of the i-th kind of pages that --exclude knows; NULL past the end. */
const char *excluded_kind_name(size_t i);
