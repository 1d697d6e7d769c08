/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * output.h - the files that one dump is written to: one, or those of a split dump
 *
 * The files of a split dump are called PATH-1, PATH-2 and so on and hold about the same number
 * of pages each.  All files are made before anything is read, and get their names when all of
 * them are complete; when something goes wrong, they are kept under the name PATH.incomplete,
 * provided that they hold pages and can be opened.
 */
#pragma once

#include "machine/source.h"
#include "settings.h"
#include "write/writer.h"

struct output {
	struct sink *sink;
	struct sink *innermost;         /* that one, or what it is around       */
	struct sink *ranges_file;       /* NULL: the format has none            */
	struct write_spec spec;         /* with the slice of the plan in it     */
	struct writer *writer;
	uint64_t size;                  /* of the file, once the writer has finished */
};

struct outputs {
	struct writer writer;           /* writes each batch to the output that it is of */
	struct output *list;
	unsigned int num;
	unsigned int finished;          /* outputs that have their names        */
	const struct gdump_write_options *opt;
	uint64_t kept;                  /* pages of the plan                    */
};

/* Fail if one of the files could not be made; nothing is left of this. */
MUST_CHECK struct gdump_error *outputs_check(const char *path,
					     const struct gdump_write_options *opt,
					     const struct settings *set);
/* Make the files that are to hold @plan.  @o must be deinitialized, also after an error. */
MUST_CHECK struct gdump_error *outputs_open(struct outputs *o, const char *path,
					    const struct gdump_write_options *opt,
					    const struct settings *set, struct source *source,
					    const struct gdump_plan *plan);
/* Create the writers, and write the headers: o->writer can be used.  What the files hold is in
 * @image and @sections.
 */
MUST_CHECK struct gdump_error *outputs_begin(struct outputs *o, const struct settings *set,
					     const struct image *image,
					     const struct pv_dump_section *sections);
/* All pages are stored: complete the files, but do not let them appear yet. */
MUST_CHECK struct gdump_error *outputs_complete(struct outputs *o, struct gdump_result *result);
/* Let the files appear. */
MUST_CHECK struct gdump_error *outputs_finish(struct outputs *o);
/* From the thread that reads: the outputs are not wanted any more. */
void outputs_interrupt(struct outputs *o);
/* Something went wrong: remove what cannot be kept. Returns @err, to which an error is added that says
 * what remains.
 */
MUST_CHECK struct gdump_error *outputs_discard(struct outputs *o, struct gdump_error *err);
/* Something went wrong: keep what can be used, and report it in @result. */
void outputs_keep_partial(struct outputs *o, struct gdump_result *result);
/* Files that neither have their names nor are kept are deleted. */
void outputs_deinit(struct outputs *o);
