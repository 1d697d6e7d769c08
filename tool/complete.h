/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * complete.h - completion of the command line for shells
 *
 * The scripts in completion/ call "guestdump complete WORD..." with the words behind
 * "guestdump", up to the one to complete, which may be empty. It prints candidates for that
 * whole word, one per line, some followed by a tab and a description. No space should follow a
 * candidate that ends with one of "/:=,". The line ":files" stands for the names of files.
 */
#pragma once

struct arguments;

/* What to complete: a word, or the end of one */
struct completion {
	const char *word;               /* as far as it was typed               */
	const char *before;             /* the part of the same word in front   */
};

typedef void complete_fn(const struct completion *c);

complete_fn complete_files;
complete_fn complete_guests;
complete_fn complete_inputs;            /* both                                 */
complete_fn complete_crash_verbs;       /* what to do with crashes              */
complete_fn complete_crashes;           /* their ids                            */
complete_fn complete_jobs;              /* the numbers of active ones           */
complete_fn complete_written_formats;
complete_fn complete_read_formats;
complete_fn complete_codecs;
complete_fn complete_levels;
complete_fn complete_kinds;
complete_fn complete_sections;
complete_fn complete_progress;
complete_fn complete_mount_options;
complete_fn complete_live;
complete_fn complete_triggers;          /* of guestdump watch                   */
complete_fn complete_booleans;
complete_fn complete_live_modes;
complete_fn complete_after;

int cmd_complete(int argc, char **argv);
