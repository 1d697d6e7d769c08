/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * options.h - the options of all commands: one table
 *
 * The parser of the command line (arguments.c), --help (help.c) and the completion for shells
 * (complete.c) use it; tests/man.sh compares the manual pages with it.
 */
#pragma once

#include "complete.h"
#include "values.h"

/* Commands, as bits */
enum {
	CMD_DUMP = 1 << 0, CMD_CONVERT = 1 << 1, CMD_INFO = 1 << 2, CMD_VERIFY = 1 << 3,
	CMD_DMESG = 1 << 4, CMD_LIST = 1 << 5, CMD_JOBS = 1 << 6, CMD_CANCEL = 1 << 7,
	CMD_GUESTS = 1 << 8, CMD_STACKS = 1 << 9, CMD_REPORT = 1 << 10, CMD_WATCH = 1 << 11,
	CMD_CRASHES = 1 << 12, CMD_MOUNT = 1 << 13, CMD_UMOUNT = 1 << 14,
	CMD_EXTRACT = 1 << 15,

	CMD_ALL = (1 << 16) - 1,
	CMD_COPY = CMD_DUMP | CMD_CONVERT,
	CMD_READ = CMD_CONVERT | CMD_INFO | CMD_VERIFY | CMD_DMESG | CMD_STACKS | CMD_REPORT |
		   CMD_MOUNT | CMD_EXTRACT,                             /* of files     */
	CMD_GUEST = CMD_DUMP | CMD_INFO | CMD_DMESG | CMD_STACKS | CMD_REPORT |
		    CMD_MOUNT | CMD_EXTRACT,                            /* of guests    */
	CMD_OPEN = CMD_DUMP | CMD_READ,
	CMD_BULK = CMD_COPY | CMD_VERIFY,                               /* of all pages */
	CMD_SHOW = CMD_INFO | CMD_VERIFY | CMD_DMESG | CMD_STACKS | CMD_REPORT | CMD_LIST | CMD_JOBS |
		   CMD_CANCEL | CMD_GUESTS | CMD_CRASHES,
};

struct option_row {
	char letter;                    /* 0: none                              */
	const char *name;               /* after "--"; NULL: none              */
	const char *value;              /* its name in --help, "[=NAME]" if it is optional;
					 * NULL: the option takes none          */
	size_t to;                      /* offset in struct arguments where @parse stores it */
	parse_fn *parse;
	unsigned int commands;          /* bits of those that have the option   */
	const char *help;               /* one sentence                         */
	complete_fn *complete;          /* the value; NULL: offers nothing      */
	const char *stands_for;         /* the value to parse, of an option that takes none */
	const char *alias;              /* its long name in another program     */
	const char *(*name_at)(size_t i);       /* the i-th name that --help lists after
					 * @help, or NULL past the end; NULL: no list */
};

/* Ends with a row without help. A row that has only help is a heading in --help. */
extern const struct option_row option_rows[];

static inline bool option_is_heading(const struct option_row *o)
{
	return !o->letter && !o->name;
}

/* Pairs of long options, of which only one may be given; ends with a row of NULLs. Two options that
 * store to the same place exclude each other without a row, unless their values add up.
 */
struct exclusive_options {
	const char *a, *b;
};

extern const struct exclusive_options exclusive_options[];

/* An option of makedumpfile, virsh dump or crash that means something else here, or nothing */
struct foreign_option {
	const char *name;               /* "-R", "--mem-usage"                  */
	const char *advice;             /* a clause that says what to use instead */
};

/* Ends with a row without a name. @name may have "=VALUE" behind it. NULL: there is no such row. */
extern const struct foreign_option foreign_options[];
const char *foreign_advice(const char *name);
