/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * arguments.h - what the command line asks for
 */
#pragma once

#include "progress.h"
#include "values.h"
#include "watch_policy.h"

struct command;

/* For all commands: each uses some of the members. The table in options.c fills them. */
struct arguments {
	const struct command *command;
	char **words;                   /* the operands: see struct command     */
	int num_words;

	struct gdump_open_options open;
	struct gdump_write_options write;
	struct gdump_store_options store;
	struct codec_choice codec;
	struct level_list levels;
	struct extent_list extents;
	struct gdump_stacks_options stacks;
	struct gdump_report_options report;
	const char *sections;           /* of the report, with commas; NULL: all */
	const char *html;               /* the file to write it to; NULL: none  */
	enum progress_style progress;
	bool dry_run, detach, strict_space;
	struct watch_policy policy;     /* of which these were given:           */
	uint64_t policy_given;          /* see watch_conf_set_options()         */
	bool check;                     /* the configuration only               */
	const char *config;             /* a file; NULL: those of the system    */
	bool json, pages, registers, tasks, callers;
	long watch;                     /* the number of a job; 0: none         */
	long process;                   /* to be extracted; 0: none             */
	struct extent_list memory;      /* by virtual address, one at most, to be extracted */
	const char *output;             /* the file for it                      */
	bool foreground, allow_other;   /* of a mount                           */
	bool no_confine, nice;
	unsigned int verbosity;         /* enum gdump_debug_level; 0: none      */
	bool help;
};

/* Parse the command line of @cmd; @argv[0] is its name. Returns ARGUMENTS_GOOD, or the status
 * to exit with, after --help or an error message was printed. The options for the library are
 * complete then, and point into @args and @argv.
 */
enum { ARGUMENTS_GOOD = -1 };
int arguments_parse(struct arguments *args, const struct command *cmd, int argc, char **argv);

/* Where temporary copies may be made: $TMPDIR or /var/tmp */
const char *spool_dir(void);

/* All words are inputs, of which the second and further ones are files of the same dump. */
void take_parts(struct arguments *args);

/* Whether @where names a running guest */
bool is_guest(const char *where);
