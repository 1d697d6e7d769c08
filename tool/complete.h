/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * complete.h - what could stand at a place of the command line
 *
 * "guestdump complete WORD..." is what the scripts in completion/ call: the words behind
 * "guestdump" up to the one to be completed, which may be empty. It prints candidates for
 * that whole word, one per line, each perhaps with a tab and a description. A candidate that
 * ends with one of "/:=," is to be continued. The line ":files" stands for the names of files.
 */
#pragma once

struct arguments;

/* A word, or a part of it at its end */
struct completion {
	const char *word;               /* what is there of it                  */
	const char *before;             /* of the same word, in front of that   */
};

typedef void complete_fn(const struct completion *c);

complete_fn complete_files;
complete_fn complete_guests;
complete_fn complete_inputs;            /* both                                 */
complete_fn complete_jobs;              /* numbers of those that run            */
complete_fn complete_written_formats;
complete_fn complete_read_formats;
complete_fn complete_codecs;
complete_fn complete_levels;
complete_fn complete_kinds;
complete_fn complete_progress;
complete_fn complete_live;

int cmd_complete(int argc, char **argv);
