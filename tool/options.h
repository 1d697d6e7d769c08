/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * options.h - the options of all commands: one table
 *
 * Out of it come the parsing of the command line (arguments.c), --help (help.c) and the
 * completion in shells (complete.c); tests/man.sh compares the manual pages with it.
 */
#pragma once

#include "complete.h"
#include "values.h"

/* Commands, as bits */
enum {
	CMD_DUMP = 1 << 0, CMD_CONVERT = 1 << 1, CMD_INFO = 1 << 2, CMD_VERIFY = 1 << 3,
	CMD_DMESG = 1 << 4, CMD_LIST = 1 << 5, CMD_JOBS = 1 << 6, CMD_CANCEL = 1 << 7,

	CMD_ALL = (1 << 8) - 1,
	CMD_COPY = CMD_DUMP | CMD_CONVERT,
	CMD_READ = CMD_CONVERT | CMD_INFO | CMD_VERIFY | CMD_DMESG,     /* of files     */
	CMD_OPEN = CMD_DUMP | CMD_READ,
	CMD_BULK = CMD_COPY | CMD_VERIFY,                               /* of all pages */
	CMD_SHOW = CMD_INFO | CMD_VERIFY | CMD_DMESG | CMD_LIST | CMD_JOBS,
};

struct option_row {
	char letter;                    /* 0: none                              */
	const char *name;               /* behind "--"; NULL: none              */
	const char *value;              /* what it is called in --help: "NAME", "[=try]" if
					 * it may be missing; NULL: there is none */
	size_t to;                      /* where @parse stores it in struct arguments */
	parse_fn *parse;
	unsigned int commands;          /* that have the option: bits           */
	const char *help;               /* one sentence                         */
	complete_fn *complete;          /* the value; NULL: with nothing        */
	const char *stands_for;         /* the value that an option without one has */
};

/* Ends with a row without help. A row with nothing else is a heading for --help. */
extern const struct option_row option_rows[];

static inline bool option_is_heading(const struct option_row *o)
{
	return !o->letter && !o->name;
}
